import { isDark } from "./colours.js";
import { byId } from "./dom.js";

/**
 * Let the button change between light and dark.
 * @param {() => void} changed told after each change, the system's too
 */
export function watchTheme(changed) {
  const button = byId("theme");
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    changed();
  };
  button.onclick = () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    show();
  };
  matchMedia("(prefers-color-scheme: dark)").onchange = show;
  show();
}
