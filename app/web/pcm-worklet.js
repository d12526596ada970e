// Runs beside the page, in the thread that renders sound; TypeScript's DOM library does not have it.

/** Of sound in a message: short enough for a lively meter, long enough for few messages. */
const MESSAGE_SECONDS = 0.1;

const scope =
  /** @type {{AudioWorkletProcessor: any, registerProcessor: Function, sampleRate: number}} */ (
    /** @type {unknown} */ (globalThis)
  );

/** Posts the mean of the channels as 16-bit PCM, `{pcm, peak}`, with the peak from 0 to 1. */
class PcmProcessor extends scope.AudioWorkletProcessor {
  #pcm = new Int16Array(Math.round(MESSAGE_SECONDS * scope.sampleRate));
  #size = 0;
  #peak = 0;

  /**
   * Receive the next samples, [input][channel].
   * @param {Float32Array[][]} inputs
   * @returns {boolean} whether to go on
   */
  process([channels]) {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      const sum = channels.reduce((total, channel) => total + channel[i], 0);
      const value = Math.min(Math.max(sum / channels.length, -1), 1);
      this.#peak = Math.max(this.#peak, Math.abs(value));
      this.#pcm[this.#size++] = Math.round(32_767 * value);
      if (this.#size === this.#pcm.length) this.#post();
    }
    return true;
  }

  #post() {
    this.port.postMessage({ pcm: this.#pcm.slice().buffer, peak: this.#peak });
    this.#size = 0;
    this.#peak = 0;
  }
}

scope.registerProcessor("pcm", PcmProcessor);
