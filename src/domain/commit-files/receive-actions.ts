import { Base64Decoder, Base64Error } from '#base/base64-decoder';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { FileAction } from './file-action.ts';
import { cleanActionPath } from './paths.ts';

/** An action as it comes from a client, before its content. */
export interface ActionHeader {
  /** A number stands for an action that nobody knows. */
  readonly kind: FileAction['kind'] | number;
  /** As the client wrote them. */
  readonly path: Buffer;
  readonly previousPath: Buffer;
  readonly isExecutable: boolean;
  readonly isBase64: boolean;
  /** A move keeps what the file holds. */
  readonly keepsContent: boolean;
}

/** A piece of a stream of actions: each begins with its header, its content follows in any number of pieces. */
export type ActionPart = { readonly header: ActionHeader } | { readonly content: Uint8Array };

/** Writes a file's content as a blob, as it belongs at the path; nothing is held. */
export type WriteFile = (path: Buffer, content: AsyncIterable<Uint8Array>) => Promise<string>;

/**
 * Receives actions and writes their contents while they come. What is wrong with an action is told when all have come: clients write
 * to the end before they listen.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for unknown actions; {IndexError} for paths; {Error} `write created blob: writing blob: …` for
 *   contents; what `parts` throws.
 */
export async function receiveActions(parts: AsyncIterable<ActionPart>, writeFile: WriteFile): Promise<FileAction[]> {
  const source = new PartSource(parts);
  try {
    const actions: FileAction[] = [];
    for (let header = await source.nextHeader(); header !== undefined; header = await source.nextHeader()) {
      try {
        actions.push(await receiveAction(header, source, writeFile));
      } catch (error) {
        await source.drain();
        throw error;
      }
    }
    return actions;
  } finally {
    await source.close();
  }
}

async function receiveAction(header: ActionHeader, source: PartSource, writeFile: WriteFile): Promise<FileAction> {
  const { kind, isExecutable } = header;
  if (typeof kind === 'number') {
    throw new GitalyError('INVALID_ARGUMENT', `NoMethodError: undefined method \`downcase' for ${kind}:Integer`);
  }
  const path = cleanActionPath(header.path);
  const write = async (at: Buffer, what: string): Promise<string> => {
    if (at.includes(0)) throw new Error(`${what}executing hash-object: detected null byte in command argument ${quote(at)}`);
    const content = source.content();
    try {
      return await writeFile(at, header.isBase64 ? decoded(content) : content);
    } catch (error) {
      if (!(error instanceof Base64Error)) throw error;
      throw new GitalyError('INTERNAL', `${what}writing blob: ${messageOf(error)}`, { cause: error });
    }
  };
  switch (kind) {
    case 'create':
      return { kind, path, isExecutable, blobOid: await write(path, 'write created blob: ') };
    case 'update':
      return { kind, path, blobOid: await write(path, 'write updated blob: ') };
    case 'move': {
      const previousPath = cleanActionPath(header.previousPath);
      return { kind, path, previousPath, blobOid: header.keepsContent ? undefined : await write(path, '') };
    }
    case 'create-directory':
      return { kind, path, blobOid: await writeFile(Buffer.concat([path, Buffer.from('/.gitkeep')]), nothing()) };
    case 'delete':
      return { kind, path };
    case 'change-mode':
      return { kind, path, isExecutable };
  }
}

async function* decoded(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new Base64Decoder();
  for await (const piece of content) yield decoder.push(piece);
  decoder.end();
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Parts, taken one by one. Content that nobody asks for is passed over. */
class PartSource {
  readonly #parts: AsyncIterator<ActionPart>;
  #waiting: ActionPart | undefined;
  #isOver = false;

  constructor(parts: AsyncIterable<ActionPart>) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  /** The header of the next action; `undefined` at the end. */
  async nextHeader(): Promise<ActionHeader | undefined> {
    for (let part = await this.#take(); part !== undefined; part = await this.#take()) {
      if ('header' in part) return part.header;
    }
    return undefined;
  }

  /** The content of the action whose header was taken last. */
  async *content(): AsyncGenerator<Uint8Array> {
    for (let part = await this.#take(); part !== undefined; part = await this.#take()) {
      if ('header' in part) {
        this.#waiting = part;
        return;
      }
      yield part.content;
    }
  }

  async drain(): Promise<void> {
    while ((await this.#take()) !== undefined);
  }

  async close(): Promise<void> {
    if (!this.#isOver) await this.#parts.return?.();
  }

  async #take(): Promise<ActionPart | undefined> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    if (this.#isOver) return undefined;
    const next = await this.#parts.next();
    if (next.done !== true) return next.value;
    this.#isOver = true;
    return undefined;
  }
}
