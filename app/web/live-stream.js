/** @import { Model, StreamPrediction } from "./api.js" */
import { streamProtocols } from "./api-key.js";
import { Problem, fetchRefusal, streamUrl } from "./api.js";
import { closeMicrophone, openMicrophone } from "./microphone.js";
import { DeviceListener } from "./on-device.js";
import { Recorder } from "./recorder.js";

/** Seconds of sound that may wait to be sent: a service that is further behind never catches up. */
const MAX_BEHIND_SECONDS = 10;

/**
 * Callbacks of a live stream.
 * @typedef {object} LiveEvents
 * @property {(peak: number) => void} onLevel called ten times a second, from 0 to 1
 * @property {(prediction: StreamPrediction) => void} onPrediction
 * @property {(problem: Problem) => void} onProblem called when the stream ends by itself
 */

/**
 * Sends the microphone to the service, which answers each second, or has it classified here, and
 * records it meanwhile.
 */
export class LiveStream {
  #events;
  #recorder = new Recorder();
  /** @type {MediaStream | null} */
  #microphone = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** Where sound goes: to the service, or nowhere. @type {WebSocket | null} */
  #socket = null;
  /** @type {DeviceListener | null} */
  #listener = null;

  /** @param {LiveEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /**
   * Open the microphone and start; resolves when sound is on its way.
   * @param {Model} model
   * @param {(recording: File) => void} onStop called with the recording once it is stopped
   * @returns {Promise<void>}
   * @throws {Problem} there is no microphone, or it may not be used
   */
  async start(model, onStop) {
    const microphone = await openMicrophone();
    this.#microphone = microphone;
    const context = new AudioContext();
    this.#context = context;
    await context.audioWorklet.addModule(new URL("pcm-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 1 });
    node.port.onmessage = ({ data: { pcm, peak } }) => {
      this.#events.onLevel(peak);
      this.#send(pcm, context.sampleRate);
    };
    // It is silent, but what leads nowhere is not worked on by every browser.
    context.createMediaStreamSource(microphone).connect(node).connect(context.destination);
    this.#recorder.startWith(microphone, onStop);
    this.setModel(model);
  }

  /**
   * Ask another model, whose time begins at 0.
   * @param {Model} model
   */
  setModel(model) {
    if (!this.#context) return;
    this.#close();
    const { sampleRate } = this.#context;
    if (model.runsHere) {
      const { onPrediction } = this.#events;
      const onProblem = (/** @type {Problem} */ problem) => this.#fail(problem);
      this.#listener = new DeviceListener(model, sampleRate, onPrediction, onProblem);
      return;
    }
    const url = streamUrl(model, sampleRate);
    const socket = new WebSocket(url, streamProtocols());
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
    };
    // What comes of an older one is of another model.
    const isCurrent = () => socket === this.#socket;
    socket.onmessage = ({ data }) => isCurrent() && this.#events.onPrediction(JSON.parse(data));
    socket.onclose = async ({ reason }) => {
      if (!isCurrent()) return;
      if (isOpen) {
        this.#end(reason || "The connection was lost.");
        return;
      }
      const problem = await fetchRefusal(url);
      if (isCurrent()) this.#fail(problem);
    };
    this.#socket = socket;
  }

  /** Close the microphone and the stream; the recording is handed over. */
  stop() {
    this.#close();
    this.#recorder.stop();
    if (this.#microphone) closeMicrophone(this.#microphone);
    void this.#context?.close();
    this.#microphone = this.#context = null;
  }

  #send(/** @type {ArrayBuffer} */ pcm, /** @type {number} */ sampleRate) {
    this.#listener?.send(pcm);
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_BEHIND_SECONDS * 2 * sampleRate) {
      this.#end(`The server is more than ${MAX_BEHIND_SECONDS} seconds behind.`);
    } else {
      this.#socket.send(pcm);
    }
  }

  #end(/** @type {string} */ reason) {
    this.#fail(new Problem("Live sound has ended", reason));
  }

  #fail(/** @type {Problem} */ problem) {
    this.stop();
    this.#events.onProblem(problem);
  }

  #close() {
    this.#listener?.close();
    this.#listener = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
