/** @import { RankedLabel, Segment, StreamPrediction } from "./api.js" */
/** @import { ClipPrediction } from "./segments.js" */
import { isSilent, mixToMono } from "./mono.js";
import { readMetadata } from "./onnx-metadata.js";
import { Resampler, resample } from "./resampler.js";
import { labelFractions, round, segmentRecording } from "./segments.js";

/** Of a clip, below which the rest of a recording is no clip of its own. */
const MIN_TAIL_FRACTION = 1 / 64;
/** Of a clip, each of which may be silent. */
const PARTS = 8;
/** Between the predictions for live sound. */
const HOP_SECONDS = 1;

/**
 * What is heard in a recording, as the service describes it.
 * @typedef {object} StudentResult
 * @property {string | null} label
 * @property {string | null} reason
 * @property {number} probability
 * @property {RankedLabel[]} ranked
 * @property {number} seconds
 * @property {Segment[] | null} segments
 * @property {Record<string, number> | null} label_fractions
 *
 * @typedef {(clip: Float32Array) => Promise<Float32Array>} Infer computes the logits of a clip
 */

/**
 * A student of Earshot: a network that reads samples. It answers as `edge/earshot_edge.py` and the
 * service do, from the same metadata of its file.
 */
export class Student {
  #infer;
  #topK;
  /** @type {string[]} */
  #labels;
  #sampleRate;
  #clip;
  #hop;
  #repeats;
  #shortest;
  #threshold;
  #oodReason;
  /** Rising: of recordings of so many seconds, the temperature. @type {[number, number][]} */
  #temperatures;

  /**
   * @param {Uint8Array} file
   * @param {Infer} infer
   * @param {number} topK labels to rank
   * @throws {Error} it is no student
   */
  constructor(file, infer, topK) {
    const facts = readMetadata(file);
    const labels = facts.get("labels");
    if (labels === undefined) throw new Error("the file is no student of Earshot");
    const number = (/** @type {string} */ name) => Number(facts.get(name));
    this.#infer = infer;
    this.#topK = topK;
    this.#labels = labels.split("\n");
    this.#sampleRate = number("sample_rate");
    this.#clip = number("clip_samples");
    this.#hop = number("clip_hop_samples");
    this.#repeats = facts.get("padding") === "repeat";
    this.#shortest = Number(facts.get("shortest_seconds") ?? 0);
    this.#threshold = Number(facts.get("ood_threshold") ?? -Infinity);
    this.#oodReason = facts.get("ood_reason") ?? null;
    const lines = (facts.get("temperatures") ?? "").split("\n").filter(Boolean);
    this.#temperatures = [
      ...lines.map((line) => /** @type {[number, number]} */ (line.split(" ").map(Number))),
      [this.#clip / this.#sampleRate, number("temperature")],
    ];
  }

  /**
   * Classify a recording.
   * @param {Float32Array[]} channels samples from -1 to 1
   * @param {number} sampleRate in Hz
   * @param {(seconds: number, total: number) => void} onProgress
   * @returns {Promise<StudentResult>}
   * @throws {AudioError} the recording cannot be classified
   */
  async classify(channels, sampleRate, onProgress) {
    const mono = mixToMono(channels, sampleRate);
    const seconds = mono.length / sampleRate;
    const isFlat = isSilent(mono);
    const samples = resample(mono, sampleRate, this.#sampleRate);
    /** @type {ClipPrediction[]} */
    const clips = [];
    for (const start of this.#starts(samples.length)) {
      const clip = this.#fill(samples.subarray(start, start + this.#clip));
      const outputs = await this.#infer(clip);
      clips.push({
        start: start / this.#sampleRate,
        probabilities: this.#probabilities(outputs, seconds),
        reason: isFlat ? "silent" : this.#reason(clip, outputs, seconds),
        isPartiallySilent: isPartiallySilent(clip),
      });
      onProgress(Math.min((start + this.#clip) / this.#sampleRate, seconds), seconds);
    }
    const labelled = clips.filter(({ reason }) => reason === null);
    const counted = labelled.length ? labelled : clips;
    const mean = this.#labels.map(
      (_, i) => counted.reduce((sum, clip) => sum + clip.probabilities[i], 0) / counted.length,
    );
    const clipSeconds = this.#clip / this.#sampleRate;
    const segments =
      clips.length > 1 ? segmentRecording(clips, this.#labels, clipSeconds, round(seconds, 3)) : null;
    return {
      ...this.#rank(mean, aggregate(clips)),
      seconds: round(seconds, 3),
      segments,
      label_fractions: segments && labelFractions(segments),
    };
  }

  /**
   * Return a classifier of live sound, whose time begins at 0.
   * @param {number} sampleRate in Hz
   * @returns {(pcm: Int16Array) => Promise<StreamPrediction[]>} called with samples as they come
   */
  listen(sampleRate) {
    const resampler = new Resampler(sampleRate, this.#sampleRate);
    const hop = HOP_SECONDS * this.#sampleRate;
    let held = new Float32Array(0);
    let [received, next] = [0, hop];
    return async (pcm) => {
      const samples = resampler.push(Float32Array.from(pcm, (value) => value / 32_768));
      received += samples.length;
      const joined = new Float32Array(held.length + samples.length);
      joined.set(held);
      joined.set(samples, held.length);
      const predictions = [];
      for (; next <= received; next += hop) {
        const end = joined.length - (received - next);
        const heard = joined.subarray(Math.max(0, end - this.#clip), end);
        predictions.push(await this.#predict(this.#fill(heard), next / this.#sampleRate));
      }
      held = joined.slice(-(this.#clip + hop));
      return predictions;
    };
  }

  /** @returns {Promise<StreamPrediction>} */
  async #predict(/** @type {Float32Array} */ clip, /** @type {number} */ end) {
    const outputs = await this.#infer(clip);
    const start = Math.max(0, round(end - this.#clip / this.#sampleRate, 3));
    const reason = this.#reason(clip, outputs, end);
    return { start, end, ...this.#rank(this.#probabilities(outputs, end), reason) };
  }

  /** Return the first samples of the clips that cover a recording. */
  #starts(/** @type {number} */ samples) {
    const starts = [0];
    for (let start = this.#hop; start + this.#clip <= samples; start += this.#hop) starts.push(start);
    const rest = samples - (starts[starts.length - 1] + this.#clip);
    if (rest >= this.#clip * MIN_TAIL_FRACTION) starts.push(samples - this.#clip);
    return starts;
  }

  /** Bring a short clip to its length, by repetition or with zeros behind. */
  #fill(/** @type {Float32Array} */ samples) {
    if (samples.length === this.#clip) return samples;
    const clip = new Float32Array(this.#clip);
    const end = this.#repeats ? this.#clip : samples.length;
    for (let i = 0; i < end; i++) clip[i] = samples[i % samples.length];
    return clip;
  }

  #probabilities(/** @type {Float32Array} */ outputs, /** @type {number} */ seconds) {
    const logits = [...outputs.subarray(0, this.#labels.length)];
    const temperature = this.#temperatures.length > 1 ? this.#temperature(seconds) : this.#temperatures[0][1];
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp((logit - largest) / temperature));
    const sum = powers.reduce((total, power) => total + power);
    return powers.map((power) => power / sum);
  }

  /** Return the temperature for a recording: between those measured, linear over the logarithm. */
  #temperature(/** @type {number} */ seconds) {
    const known = this.#temperatures;
    const above = known.findIndex(([length]) => length >= seconds);
    if (above <= 0) return known[above === 0 ? 0 : known.length - 1][1];
    const [[low, cold], [high, warm]] = [known[above - 1], known[above]];
    const share = Math.log(seconds / low) / Math.log(high / low);
    return cold + share * (warm - cold);
  }

  #reason(
    /** @type {Float32Array} */ clip,
    /** @type {Float32Array} */ outputs,
    /** @type {number} */ seconds,
  ) {
    if (isSilent(clip)) return "silent";
    if (seconds < this.#shortest) return "too_short";
    return outputs[outputs.length - 1] < this.#threshold ? this.#oodReason : null;
  }

  #rank(/** @type {number[]} */ probabilities, /** @type {string | null} */ reason) {
    const ranked = this.#labels
      .map((label, i) => ({ label, probability: round(probabilities[i], 4) }))
      .sort((one, other) => other.probability - one.probability)
      .slice(0, this.#topK);
    if (reason === null) return { ...ranked[0], reason, ranked };
    const isUnranked = reason === "silent" || reason === "too_short";
    return { label: null, probability: 0, reason, ranked: isUnranked ? [] : ranked };
  }
}

/**
 * Return why a recording of these clips has no label, or null if it has one.
 * @param {ClipPrediction[]} clips
 * @returns {string | null}
 */
function aggregate(clips) {
  const audible = clips.filter(({ reason }) => reason !== "silent");
  if (!audible.length) return "silent";
  const whole = audible.filter(({ isPartiallySilent }) => !isPartiallySilent);
  const counted = whole.length ? whole : audible;
  const reasons = counted.map(({ reason }) => reason).filter((reason) => reason !== null);
  return 2 * reasons.length > counted.length ? reasons[0] : null;
}

/** Return whether an eighth of a clip or more, but not all of it, is silent. */
function isPartiallySilent(/** @type {Float32Array} */ clip) {
  if (isSilent(clip)) return false;
  const edges = Array.from({ length: PARTS + 1 }, (_, i) => Math.floor((i * clip.length) / PARTS));
  return edges.slice(1).some((end, i) => isSilent(clip.subarray(edges[i], end)));
}
