import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { documentError } from '#base/go/encoding/json-error';
import { JsonScanner } from '#base/go/encoding/json-scanner';
import { type Resolution, ResolutionReader } from './resolution-reader.ts';

/**
 * Reads the resolutions of a request. A long text takes many iterations of the event loop.
 *
 * @throws {GitalyError} INTERNAL with Go's text for invalid JSON; as {@link ResolutionReader}; the
 *   signal's reason.
 */
export async function parseResolutions(json: Buffer, signal?: AbortSignal): Promise<Resolution[]> {
  const scanner = new JsonScanner(json.toString('latin1'));
  const reader = new ResolutionReader();
  const slice = new LoopSlice();
  let text = '';
  for (;;) {
    const token = nextToken(scanner);
    if (token === undefined) return reader.result();
    if (slice.isOverAfterItem() || scanner.isPartial) await slice.pause(signal);
    const { depth } = scanner;
    if ((token === 'key' || token === 'string') && !reader.ignores(depth))
      text += decoded(json.toString('utf8', scanner.start, scanner.end));
    if (scanner.isPartial) continue;
    reader.read(token, depth, text);
    text = '';
  }
}

/** Returns the next token; `undefined` at the end. @throws as {@link parseResolutions}. */
function nextToken(scanner: JsonScanner): ReturnType<JsonScanner['next']> {
  try {
    const token = scanner.next();
    if (token === undefined) scanner.requireEnd();
    return token;
  } catch (error) {
    throw new GitalyError('INTERNAL', documentError(error));
  }
}

/** Returns the text between quotes, without its escapes. */
function decoded(text: string): string {
  return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
}
