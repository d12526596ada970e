import { createElement, getElement } from "./dom.js";

/** Colours of a spectrogram from silence to the loudest, each red, green and blue. */
const SPECTROGRAM_STOPS = {
  light: [[251, 250, 246], [203, 224, 220], [84, 158, 165], [19, 78, 100], [10, 25, 47]],
  dark: [[14, 17, 20], [20, 52, 66], [38, 122, 132], [153, 207, 180], [252, 244, 210]],
};

/** In the order in which the button goes through them. */
const THEMES = ["system", "light", "dark"];

/**
 * Let the button go through the themes: that of the system, light, dark.
 * @param {() => void} onChange called now and after each change, the system's too
 */
export function watchTheme(onChange) {
  const button = getElement("theme");
  const { dataset } = document.documentElement;
  const update = () => {
    const theme = dataset.theme ?? THEMES[0];
    button.textContent = `Theme: ${theme}`;
    onChange();
  };
  button.onclick = () => {
    const index = THEMES.indexOf(dataset.theme ?? THEMES[0]);
    const theme = THEMES[(index + 1) % THEMES.length];
    if (theme === THEMES[0]) {
      delete dataset.theme;
      localStorage.removeItem("theme");
    } else {
      dataset.theme = theme;
      localStorage.setItem("theme", theme);
    }
    update();
  };
  matchMedia("(prefers-color-scheme: dark)").onchange = update;
  update();
}

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Return the colour of a label. It is dark enough for white text, and differs from its neighbours
 * in lightness too, for eyes that tell few hues apart.
 * @param {string} label
 * @param {string[]} labels all labels of the task
 * @returns {string}
 */
function labelColour(label, labels) {
  const index = Math.max(labels.indexOf(label), 0);
  const hue = 25 + (360 * index) / Math.max(labels.length, 1);
  return `oklch(${index % 2 ? 0.47 : 0.545} 0.125 ${hue.toFixed(0)})`;
}

/**
 * Colour an element as a label, or as what has none.
 * @param {HTMLElement} element
 * @param {string | null} label
 * @param {string[]} labels all labels of the task
 */
export function paint(element, label, labels) {
  element.classList.toggle("unlabelled", label === null);
  element.style.backgroundColor = label === null ? "" : labelColour(label, labels);
}

/**
 * Create a small square in the colour of a label.
 * @param {string | null} label
 * @param {string[]} labels all labels of the task
 * @returns {HTMLElement}
 */
export function createSwatch(label, labels) {
  const swatch = createElement("span", { className: "swatch" });
  paint(swatch, label, labels);
  return swatch;
}

/**
 * Return 256 colours for the levels of a spectrogram, as they lie in the memory of ImageData.
 * @returns {Uint32Array}
 */
export function spectrogramColours() {
  const stops = SPECTROGRAM_STOPS[isDark() ? "dark" : "light"];
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const position = (level / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(position), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [stops[below][channel], stops[below + 1][channel]];
      bytes[4 * level + channel] = from + (to - from) * (position - below);
    }
    bytes[4 * level + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}

/**
 * Return the colours over a spectrogram: the veil over what does not matter, and lines around what
 * does; each red, green and blue.
 * @returns {{veil: number[], line: number[]}}
 */
export function evidenceColours() {
  return isDark()
    ? { veil: SPECTROGRAM_STOPS.dark[0], line: [255, 157, 92] }
    : { veil: SPECTROGRAM_STOPS.light[0], line: [194, 65, 12] };
}
