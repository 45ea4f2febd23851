import { isUtf8 } from 'node:buffer';
import type { Reply } from '../operation.ts';
import type { Problem } from '../problems.ts';
import { readPage } from '../send-answer.ts';

/** The result of a tool. @see Model Context Protocol, `CallToolResult` */
export interface McpToolResult {
  readonly content: readonly object[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
}

/** The model reads what a tool returns: larger files and patches are cut. */
export const MAX_TEXT_BYTES = 256 * 1024;

/** Reads the reply of an operation. @param address where the API has it. */
export async function toolResult(
  reply: Reply,
  query: Readonly<Record<string, unknown>>,
  address: string,
): Promise<McpToolResult> {
  if ('json' in reply) return ofValue(reply.json);
  if ('page' in reply) return ofValue(await readPage(reply, query));
  if (!('stream' in reply)) return { content: [textOf('Done.')] };
  const { bytes, isCut } = await beginning(reply.stream);
  if (!isUtf8(bytes))
    return {
      content: [textOf(`The file is binary, with ${sizeOf(reply.headers, bytes)} bytes: GET ${address}`)],
    };
  const cut = `The file goes on: it has ${sizeOf(reply.headers, bytes)} bytes. The whole: GET ${address}`;
  return { content: [textOf(bytes.toString()), ...(isCut ? [textOf(cut)] : [])] };
}

/** Returns the result of a failed tool: the model may repair its call. */
export function failedResult({ document }: Problem): McpToolResult {
  return { content: [textOf(JSON.stringify(document))], isError: true };
}

function ofValue(value: unknown): McpToolResult {
  return { content: [textOf(JSON.stringify(value))], structuredContent: value };
}

function textOf(text: string): object {
  return { type: 'text', text };
}

function sizeOf(headers: Readonly<Record<string, string>>, bytes: Buffer): string {
  return headers['Content-Length'] ?? String(bytes.length);
}

/** Reads the first bytes of a file. Leaving the loop ends the stream. */
async function beginning(
  stream: AsyncIterable<Uint8Array> | undefined,
): Promise<{ readonly bytes: Buffer; readonly isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_TEXT_BYTES) break;
  }
  const bytes = Buffer.concat(chunks);
  if (length <= MAX_TEXT_BYTES) return { bytes, isCut: false };
  return { bytes: bytes.subarray(0, startOfCharacter(bytes, MAX_TEXT_BYTES)), isCut: true };
}

const CONTINUATION = 0x80;

/** Returns the position of the first byte of the character at a position, in UTF-8. */
function startOfCharacter(bytes: Buffer, position: number): number {
  let start = position;
  while (start > position - 4 && ((bytes[start] ?? 0) & 0xc0) === CONTINUATION) start--;
  return start;
}
