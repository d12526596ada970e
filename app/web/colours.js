/**
 * The colour of a label: dark enough for white text. Neighbours differ in lightness too,
 * for eyes that tell few hues apart.
 * @param {string} label
 * @param {string[]} labels all labels of the task
 * @returns {string}
 */
export function labelColour(label, labels) {
  const index = Math.max(labels.indexOf(label), 0);
  const hue = 25 + (360 * index) / Math.max(labels.length, 1);
  return `oklch(${index % 2 ? 0.47 : 0.545} 0.125 ${hue.toFixed(0)})`;
}

/** Stops of the spectrogram's colours, from silence to the loudest, each red, green, blue. */
const STOPS = {
  light: [[251, 250, 246], [203, 224, 220], [84, 158, 165], [19, 78, 100], [10, 25, 47]],
  dark: [[14, 17, 20], [20, 52, 66], [38, 122, 132], [153, 207, 180], [252, 244, 210]],
};

/** @returns {boolean} whether the page is dark now */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * 256 colours as they lie in the memory of ImageData.
 * @returns {Uint32Array}
 */
export function spectrumColours() {
  const stops = STOPS[isDark() ? "dark" : "light"];
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const place = (level / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [stops[below][channel], stops[below + 1][channel]];
      bytes[4 * level + channel] = from + (to - from) * (place - below);
    }
    bytes[4 * level + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}
