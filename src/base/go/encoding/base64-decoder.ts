import { illegalAt } from './decode-base64.ts';

/**
 * Size of a piece in characters. Positions in errors count from the start of a piece, as in Go's
 * decoder, which clients know.
 */
const PIECE = 1024;

/**
 * Invalid Base64. The message is Go's: `illegal base64 data at input byte 3`, `unexpected EOF`.
 */
export class Base64Error extends Error {
  override readonly name = 'Base64Error';
}

/**
 * Decodes Base64 (RFC 4648, padded) in chunks, as strictly as Go: line feeds and carriage returns
 * are allowed anywhere, other foreign characters nowhere. The padding is required and nothing may
 * follow it. Buffers at most three characters.
 */
export class Base64Decoder {
  #carry = '';
  /** Characters decoded so far. */
  #consumed = 0;
  #isPadded = false;

  /** @throws {Base64Error} */
  push(piece: Uint8Array): Buffer {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const text = this.#carry + bytes.toString('latin1').replace(/[\r\n]+/g, '');
    const length = text.length - (text.length % 4);
    this.#carry = text.slice(length);
    if (length === 0) return Buffer.alloc(0);
    const whole = text.slice(0, length);
    const at = this.#isPadded ? 0 : illegalAt(whole);
    if (at !== undefined) throw this.#illegal(at);
    this.#consumed += length;
    this.#isPadded = whole.endsWith('=');
    return Buffer.from(whole, 'base64');
  }

  /** @throws {Base64Error} when the last group is not whole. */
  end(): void {
    if (this.#carry !== '') throw new Base64Error('unexpected EOF');
  }

  #illegal(at: number): Base64Error {
    return new Base64Error(`illegal base64 data at input byte ${(this.#consumed + at) % PIECE}`);
  }
}
