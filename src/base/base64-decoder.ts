const BODY = /^[A-Za-z0-9+/]*={0,2}$/;
const DIGIT = /[A-Za-z0-9+/]/;
/** Positions in errors count from the start of a piece of this many characters, as clients know it from Go's decoder. */
const PIECE = 1024;

/** What is no Base64; the message is Go's: `illegal base64 data at input byte 3`, `unexpected EOF`. */
export class Base64Error extends Error {
  override readonly name = 'Base64Error';
}

/**
 * Decodes Base64 (RFC 4648, padded) that comes in pieces, as strictly as Go does: line feeds and carriage returns may be anywhere, other
 * foreign characters nowhere, nothing behind the padding, and the padding must be there. At most three characters are held.
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
    if (this.#isPadded || !BODY.test(whole)) throw this.#illegal(this.#isPadded ? 0 : illegalAt(whole));
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

/** Where Go finds fault with groups of four that are not all right. */
function illegalAt(text: string): number {
  let at = 0;
  while (DIGIT.test(text.charAt(at))) at++;
  const group = at - (at % 4);
  const isPadding = /^(?:..==|...=)$/.test(text.slice(group, group + 4)) && at - group >= 2;
  return isPadding ? group + 4 : at;
}
