'use strict';
/*
 * MessagePack as the protocol uses it: one value to bytes and back, byte for byte as the daemon writes it.
 *
 * Runs in every process of the runner; requires nothing. JavaScript has one type of number: a whole number is packed as
 * an integer, everything else as a 64-bit float; `Float` packs a float that happens to be whole. What is read beyond
 * 2**53 becomes a BigInt, and a BigInt is packed as an integer.
 */

const MAX_DEPTH = 256;
const MOST_BUFFERED = 1024 * 1024;

/** A value that has no MessagePack form. */
class PackError extends Error {}
/** Bytes that are no MessagePack value: cut off, left over, of a type that the protocol does not have. */
class UnpackError extends Error {}

/** A float, whole or not. */
class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }
}

let buffer = Buffer.allocUnsafe(16 * 1024);
let at = 0;

/**
 * Encode one value. Undefined is nil.
 * @param {unknown} value
 * @returns {Buffer} bytes of its own
 * @throws {PackError} a function, a symbol, an integer beyond 64 bits, a structure that contains itself
 */
function pack(value) {
  at = 0;
  write(value, MAX_DEPTH);
  const packed = Buffer.from(buffer.subarray(0, at));
  if (buffer.length > MOST_BUFFERED) buffer = Buffer.allocUnsafe(16 * 1024);
  return packed;
}

function room(size) {
  if (at + size <= buffer.length) return;
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + size));
  buffer.copy(larger, 0, 0, at);
  buffer = larger;
}

function write(value, depth) {
  switch (typeof value) {
    case 'string':
      return writeText(value);
    case 'number':
      return writeNumber(value);
    case 'boolean':
      return writeByte(value ? 0xc3 : 0xc2);
    case 'undefined':
      return writeByte(0xc0);
    case 'bigint':
      return writeBig(value);
    case 'object':
      return value === null ? writeByte(0xc0) : writeObject(value, depth);
    default:
      throw new PackError(`a ${typeof value} has no MessagePack form`);
  }
}

function writeByte(byte) {
  room(1);
  buffer[at++] = byte;
}

function writeText(text) {
  const size = Buffer.byteLength(text);
  head(size, 32, 0xa0, 0xd9, 0xda, 0xdb);
  room(size);
  at += buffer.write(text, at, size, 'utf8');
}

/** Write the head of something of `size`: one byte with `fix` below `limit`, else 8 (if there is such), 16 or 32 bits. */
function head(size, limit, fix, narrow, wide, widest) {
  room(5);
  if (size < limit) {
    buffer[at++] = fix | size;
  } else if (narrow && size < 0x100) {
    buffer[at++] = narrow;
    buffer[at++] = size;
  } else if (size < 0x10000) {
    buffer[at++] = wide;
    at = buffer.writeUInt16BE(size, at);
  } else {
    buffer[at++] = widest;
    at = buffer.writeUInt32BE(size, at);
  }
}

function writeFloat(value) {
  room(9);
  buffer[at++] = 0xcb;
  if (Number.isNaN(value)) at = buffer.writeBigUInt64BE(0x7ff8000000000000n, at);
  else at = buffer.writeDoubleBE(value, at);
}

function writeNumber(value) {
  if (!Number.isInteger(value) || Object.is(value, -0)) return writeFloat(value);
  if (!Number.isSafeInteger(value)) return Math.abs(value) < 2 ** 63 ? writeBig(BigInt(value)) : writeFloat(value);
  room(9);
  if (value >= 0) {
    if (value < 0x80) buffer[at++] = value;
    else if (value < 0x100) {
      buffer[at++] = 0xcc;
      buffer[at++] = value;
    } else if (value < 0x10000) {
      buffer[at++] = 0xcd;
      at = buffer.writeUInt16BE(value, at);
    } else if (value < 0x100000000) {
      buffer[at++] = 0xce;
      at = buffer.writeUInt32BE(value, at);
    } else {
      buffer[at++] = 0xcf;
      at = buffer.writeBigUInt64BE(BigInt(value), at);
    }
  } else if (value >= -0x20) buffer[at++] = value + 0x100;
  else if (value >= -0x80) {
    buffer[at++] = 0xd0;
    at = buffer.writeInt8(value, at);
  } else if (value >= -0x8000) {
    buffer[at++] = 0xd1;
    at = buffer.writeInt16BE(value, at);
  } else if (value >= -0x80000000) {
    buffer[at++] = 0xd2;
    at = buffer.writeInt32BE(value, at);
  } else {
    buffer[at++] = 0xd3;
    at = buffer.writeBigInt64BE(BigInt(value), at);
  }
}

function writeBig(value) {
  if (value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn) return writeNumber(Number(value));
  if (value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new PackError(`an integer of ${value.toString(2).length} bits: MessagePack holds -2**63 to 2**64-1`);
  }
  room(9);
  buffer[at++] = value < 0n ? 0xd3 : 0xcf;
  at = value < 0n ? buffer.writeBigInt64BE(value, at) : buffer.writeBigUInt64BE(value, at);
}

function writeObject(value, depth) {
  if (!depth) throw new PackError(`nested deeper than ${MAX_DEPTH} levels, or a structure that contains itself`);
  if (Array.isArray(value)) {
    head(value.length, 16, 0x90, 0, 0xdc, 0xdd);
    for (const item of value) write(item, depth - 1);
  } else if (value instanceof Float) {
    writeFloat(value.value);
  } else if (value instanceof Uint8Array) {
    head(value.length, 0, 0, 0xc4, 0xc5, 0xc6);
    room(value.length);
    buffer.set(value, at);
    at += value.length;
  } else {
    const keys = Object.keys(value);
    head(keys.length, 16, 0x80, 0, 0xde, 0xdf);
    for (const key of keys) {
      writeText(key);
      write(value[key], depth - 1);
    }
  }
}

// ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decode exactly one value. Maps become objects without a prototype, binary becomes a Buffer.
 * @param {Buffer} data
 * @returns {any}
 * @throws {UnpackError} bytes that are missing or left over, an extension type, text that is not UTF-8
 */
function unpack(data) {
  const reader = { data, at: 0 };
  let value;
  try {
    value = read(reader, MAX_DEPTH + 1);
  } catch (error) {
    if (error instanceof RangeError)
      throw new UnpackError(`cut off: the value does not end within its ${data.length} bytes`);
    throw error;
  }
  if (reader.at < data.length) throw new UnpackError(`${data.length - reader.at} bytes are left over after the value`);
  return value;
}

function read(reader, depth) {
  if (!depth) throw new UnpackError(`nested deeper than ${MAX_DEPTH} levels at byte ${reader.at}`);
  const type = reader.data.readUInt8(reader.at++);
  if (type < 0x80) return type;
  if (type >= 0xe0) return type - 0x100;
  if (type < 0x90) return readMap(reader, type & 0x0f, depth);
  if (type < 0xa0) return readArray(reader, type & 0x0f, depth);
  if (type < 0xc0) return readText(reader, type & 0x1f);
  return readOther(reader, type, depth);
}

function readOther(reader, type, depth) {
  const { data } = reader;
  switch (type) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xca:
      reader.at += 4;
      return data.readFloatBE(reader.at - 4);
    case 0xcb:
      reader.at += 8;
      return data.readDoubleBE(reader.at - 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
      return readSize(reader, 1 << (type - 0xcc));
    case 0xcf:
      reader.at += 8;
      return narrowed(data.readBigUInt64BE(reader.at - 8));
    case 0xd0:
      reader.at += 1;
      return data.readInt8(reader.at - 1);
    case 0xd1:
      reader.at += 2;
      return data.readInt16BE(reader.at - 2);
    case 0xd2:
      reader.at += 4;
      return data.readInt32BE(reader.at - 4);
    case 0xd3:
      reader.at += 8;
      return narrowed(data.readBigInt64BE(reader.at - 8));
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return Buffer.from(taken(reader, readSize(reader, 1 << (type - 0xc4))));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readText(reader, readSize(reader, 1 << (type - 0xd9)));
    case 0xdc:
    case 0xdd:
      return readArray(reader, readSize(reader, type === 0xdc ? 2 : 4), depth);
    case 0xde:
    case 0xdf:
      return readMap(reader, readSize(reader, type === 0xde ? 2 : 4), depth);
    default: {
      const what = type === 0xc1 ? 'no type at all' : 'an extension type';
      throw new UnpackError(`byte ${reader.at - 1} is 0x${type.toString(16)}, ${what}: the protocol has none`);
    }
  }
}

function narrowed(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readSize(reader, width) {
  reader.at += width;
  return reader.data.readUIntBE(reader.at - width, width);
}

function taken(reader, size) {
  const end = reader.at + size;
  if (end > reader.data.length) {
    throw new UnpackError(
      `cut off: ${size} bytes should follow at byte ${reader.at}, ${reader.data.length - reader.at} do`,
    );
  }
  reader.at = end;
  return reader.data.subarray(end - size, end);
}

function readText(reader, size) {
  const bytes = taken(reader, size);
  const text = bytes.toString('utf8');
  if (text.includes('\ufffd')) {
    try {
      strict.decode(bytes);
    } catch {
      throw new UnpackError(`the text at byte ${reader.at - size} is not UTF-8`);
    }
  }
  return text;
}

function readArray(reader, size, depth) {
  if (size > reader.data.length - reader.at) {
    throw new UnpackError(`cut off: ${size} values should follow at byte ${reader.at}`);
  }
  const values = [];
  for (let n = 0; n < size; n++) values.push(read(reader, depth - 1));
  return values;
}

function readMap(reader, size, depth) {
  if (2 * size > reader.data.length - reader.at) {
    throw new UnpackError(`cut off: ${size} entries should follow at byte ${reader.at}`);
  }
  const map = Object.create(null);
  for (let n = 0; n < size; n++) {
    const key = read(reader, depth - 1);
    if (key !== null && typeof key === 'object')
      throw new UnpackError('a map has an array or a map as a key: a key is a scalar');
    map[key] = read(reader, depth - 1);
  }
  return map;
}

module.exports = { Float, PackError, UnpackError, pack, unpack };
