/** What the page uses of ONNX Runtime; see its own documentation for the rest. */

export const env: { wasm: { numThreads: number; wasmPaths: { wasm: string } } };

export class Tensor {
  constructor(type: "float32", data: Float32Array, dims: number[]);
  readonly data: Float32Array;
}

export class InferenceSession {
  static create(
    model: Uint8Array,
    options: { executionProviders: "wasm"[] },
  ): Promise<InferenceSession>;
  run(inputs: Record<string, Tensor>, outputs: string[]): Promise<Record<string, Tensor>>;
}
