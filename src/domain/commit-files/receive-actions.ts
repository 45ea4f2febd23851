import { GitalyError, invalidArgument, messageOf } from '#base/gitaly-error';
import { Base64Decoder, Base64Error } from '#base/go/encoding/base64-decoder';
import { quote } from '#base/go/quote';
import { HeldBytes } from '#base/memory/held-bytes';
import type { FileAction } from './file-action.ts';
import { cleanActionPath } from './paths.ts';

/** An action of a client, before its content. */
export interface ActionHeader {
  /** A number is an unknown action. */
  readonly kind: FileAction['kind'] | number;
  /** The paths as the client has sent them. */
  readonly path: Buffer;
  readonly previousPath: Buffer;
  readonly isExecutable: boolean;
  readonly isBase64: boolean;
  /** Set for a move that keeps the content of the file. */
  readonly keepsContent: boolean;
}

/** Memory for the actions of one commit: a million files. */
const MAX_ACTION_BYTES = 384 * 1024 * 1024;

/** A part of a stream of actions: the header of an action, or a piece of its content. */
export type ActionPart = { readonly header: ActionHeader } | { readonly content: Uint8Array };

/** Writes a file's content as the blob for its path, without holding it in memory. */
export type WriteFile = (path: Buffer, content: AsyncIterable<Uint8Array>) => Promise<string>;

/**
 * Receives actions and writes their contents while they arrive. An error of an action is thrown
 * after all have arrived: clients send everything before they read.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for unknown actions, RESOURCE_EXHAUSTED for too many;
 *   {IndexError} for paths; {Error} `write created blob: writing blob: …` for contents; what
 *   `parts` throws.
 */
export async function receiveActions(
  parts: AsyncIterable<ActionPart>,
  writeFile: WriteFile,
): Promise<FileAction[]> {
  await using source = new PartSource(parts);
  const actions: FileAction[] = [];
  using held = new HeldBytes(MAX_ACTION_BYTES, 'actions');
  for (let header = await source.nextHeader(); header !== undefined; header = await source.nextHeader()) {
    held.add(header.path);
    held.add(header.previousPath);
    try {
      actions.push(await receiveAction(header, source, writeFile));
    } catch (error) {
      await source.drain();
      throw error;
    }
  }
  return actions;
}

async function receiveAction(
  header: ActionHeader,
  source: PartSource,
  writeFile: WriteFile,
): Promise<FileAction> {
  const { kind, isExecutable } = header;
  if (typeof kind === 'number') {
    throw invalidArgument(`NoMethodError: undefined method \`downcase' for ${kind}:Integer`);
  }
  const path = cleanActionPath(header.path);
  const write = async (at: Buffer, what: string): Promise<string> => {
    if (at.includes(0))
      throw new Error(`${what}executing hash-object: detected null byte in command argument ${quote(at)}`);
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
      return {
        kind,
        path,
        blobOid: await writeFile(Buffer.concat([path, Buffer.from('/.gitkeep')]), nothing()),
      };
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

/** Reads parts one by one. Content that is not read is skipped. */
class PartSource implements AsyncDisposable {
  readonly #parts: AsyncIterator<ActionPart>;
  #waiting: ActionPart | undefined;
  #isOver = false;

  constructor(parts: AsyncIterable<ActionPart>) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  /** Returns the header of the next action; `undefined` at the end. */
  async nextHeader(): Promise<ActionHeader | undefined> {
    for (let part = await this.#take(); part !== undefined; part = await this.#take()) {
      if ('header' in part) return part.header;
    }
    return undefined;
  }

  /** Yields the content of the action whose header was read last. */
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

  async [Symbol.asyncDispose](): Promise<void> {
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
