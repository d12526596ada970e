/**
 * Return the element of the page with an id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [type] its class, where that of any element is too general
 * @returns {T}
 * @throws {TypeError} the page has no such element
 */
export function getElement(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? HTMLElement))) throw new TypeError(`the page has no #${id}`);
  return /** @type {T} */ (element);
}

/**
 * Create an element with properties and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Create a button.
 * @param {string} text
 * @param {() => void} onclick
 * @param {Partial<HTMLButtonElement>} [properties]
 * @returns {HTMLButtonElement}
 */
export function createButton(text, onclick, properties = {}) {
  return createElement("button", { type: "button", onclick, ...properties }, text);
}

/**
 * Create a radio button with its label.
 * @param {string} text
 * @param {Partial<HTMLInputElement>} properties of the input
 * @returns {HTMLLabelElement}
 */
export function createRadio(text, properties) {
  const input = createElement("input", { type: "radio", ...properties });
  return createElement("label", {}, input, createElement("span", {}, text));
}
