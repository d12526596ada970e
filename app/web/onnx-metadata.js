/** Of ONNX's ModelProto, whose fields are those of protocol buffers. */
const METADATA_PROPS = 14;
const [KEY, VALUE] = [1, 2];

/**
 * Return the metadata of an ONNX file, which ONNX Runtime does not give to pages.
 * @param {Uint8Array} file
 * @returns {Map<string, string>}
 * @throws {RangeError} it ends in the middle of a field
 */
export function readMetadata(file) {
  const decoder = new TextDecoder();
  /** @type {Map<string, string>} */
  const metadata = new Map();
  for (const [number, entry] of readFields(file)) {
    if (number !== METADATA_PROPS || !entry) continue;
    const fields = new Map(readFields(entry));
    metadata.set(decoder.decode(fields.get(KEY) ?? undefined), decoder.decode(fields.get(VALUE) ?? undefined));
  }
  return metadata;
}

/**
 * Yield the number and, where it has a length, the content of each field.
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array | null]>}
 */
function* readFields(message) {
  let offset = 0;
  const readVarint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[offset++];
      if (byte === undefined) throw new RangeError("the file ends in the middle of a field");
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (offset < message.length) {
    const tag = readVarint();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) {
      readVarint();
      yield [number, null];
    } else if (wireType === 2) {
      const size = readVarint();
      yield [number, message.subarray(offset, offset + size)];
      offset += size;
    } else if (wireType === 1 || wireType === 5) {
      offset += wireType === 1 ? 8 : 4;
      yield [number, null];
    } else {
      throw new RangeError(`a field of type ${wireType}`);
    }
  }
}
