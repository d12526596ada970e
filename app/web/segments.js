/** @import { Segment } from "./api.js" */

/** A label must beat the one around it by this factor, at its beginning and again at its end. */
const SWITCHING_ODDS = 2;
/** Of a clip with silence in it, where it overlaps with one without. */
const PARTIALLY_SILENT_WEIGHT = 1e-3;

/**
 * What is known of a clip.
 * @typedef {object} ClipPrediction
 * @property {number} start in seconds
 * @property {number[]} probabilities of the labels
 * @property {string | null} reason why it has no label
 * @property {boolean} isPartiallySilent
 */

/**
 * Return the segments of a recording of several clips: which label is heard when. Where clips
 * overlap, their probabilities are averaged; the labels are the most probable path through them if
 * each change costs the odds of SWITCHING_ODDS, as the service has it (`app/inference/segments.py`).
 * @param {ClipPrediction[]} clips
 * @param {string[]} labels
 * @param {number} clipSeconds
 * @param {number} seconds length of the recording
 * @returns {Segment[]} without gaps; neighbours have different labels
 */
export function segmentRecording(clips, labels, clipSeconds, seconds) {
  // The reasons for having no label are labels too, behind the task's.
  const reasons = [...new Set(clips.map(({ reason }) => reason))].filter((each) => each !== null);
  const rows = clips.map(({ probabilities, reason }) => [
    ...probabilities.map((each) => (reason === null ? each : 0)),
    ...reasons.map((each) => Number(each === reason)),
  ]);
  const ends = clips.map(({ start }) => Math.min(start + clipSeconds, seconds));
  const edges = [...new Set([...clips.map(({ start }) => start), ...ends].map(roundToMicro))];
  edges.sort((one, other) => one - other);
  const cells = edges.slice(1).map((end, cell) => {
    const middle = (edges[cell] + end) / 2;
    const sums = rows[0].map(() => 0);
    let total = 0;
    clips.forEach(({ start, isPartiallySilent }, i) => {
      if (start > middle || middle >= ends[i]) return;
      const weight = isPartiallySilent ? PARTIALLY_SILENT_WEIGHT : 1;
      total += weight;
      rows[i].forEach((value, label) => (sums[label] += weight * value));
    });
    return sums.map((sum) => sum / total);
  });
  const path = findPath(cells.map((cell) => cell.map((value) => Math.log(value + 1e-9))));
  /** @type {Segment[]} */
  const segments = [];
  for (let first = 0, end = 1; first < path.length; first = end++) {
    while (end < path.length && path[end] === path[first]) end++;
    const label = path[first];
    let sum = 0;
    for (let cell = first; cell < end; cell++) {
      sum += cells[cell][label] * (edges[cell + 1] - edges[cell]);
    }
    const isLabel = label < labels.length;
    segments.push({
      start: round(edges[first], 3),
      end: round(edges[end], 3),
      label: isLabel ? labels[label] : null,
      ...(isLabel ? {} : { reason: reasons[label - labels.length] }),
      probability: isLabel ? round(sum / (edges[end] - edges[first]), 4) : 0,
    });
  }
  return segments;
}

/**
 * Return the fraction of the time of each label that occurs, the largest first.
 * @param {Segment[]} segments
 * @returns {Record<string, number>}
 */
export function labelFractions(segments) {
  const total = segments[segments.length - 1].end - segments[0].start;
  /** @type {Map<string, number>} */
  const seconds = new Map();
  for (const { label, start, end } of segments) {
    if (label !== null) seconds.set(label, (seconds.get(label) ?? 0) + end - start);
  }
  const ordered = [...seconds].sort(([, one], [, other]) => other - one);
  return Object.fromEntries(ordered.map(([label, each]) => [label, round(each / total, 4)]));
}

/**
 * Round to decimals.
 * @param {number} value
 * @param {number} decimals
 * @returns {number}
 */
export function round(value, decimals) {
  return Math.round(value * 10 ** decimals) / 10 ** decimals;
}

const roundToMicro = (/** @type {number} */ value) => round(value, 6);

/**
 * Return the label of each cell on the path of the largest sum, minus the cost of changes (Viterbi).
 * @param {number[][]} scores [cell][label]
 * @returns {number[]}
 */
function findPath(scores) {
  const cost = Math.log(SWITCHING_ODDS);
  let best = scores[0];
  const origins = scores.slice(1).map((row) => {
    const favourite = indexOfLargest(best);
    const changed = best[favourite] - cost;
    const origin = best.map((value, label) => (changed > value ? favourite : label));
    best = best.map((value, label) => Math.max(value, changed) + row[label]);
    return origin;
  });
  const path = [indexOfLargest(best)];
  for (const origin of origins.reverse()) path.unshift(origin[path[0]]);
  return path;
}

function indexOfLargest(/** @type {number[]} */ values) {
  return values.indexOf(Math.max(...values));
}
