import type { PostReceiveMessage } from '../gitlab-api/internal-api.ts';

const TERMINAL_WIDTH = 80; // minimum width of a terminal
const LINE_WIDTH = TERMINAL_WIDTH - 'remote: '.length; // git's client puts this before every line
const TEXT_WIDTH = LINE_WIDTH - 2 * 2; // margin of two columns on either side
const RULE = '='.repeat(LINE_WIDTH);

/**
 * Yields the text from GitLab to show after a push, in the pieces in which it is written. An empty
 * line precedes and follows each message. A `basic` message is unchanged; an `alert` is shown in a
 * banner. Widths count bytes.
 *
 * @throws {Error} `invalid message type: X`, after the pieces before it.
 */
export function* postReceiveText(messages: readonly PostReceiveMessage[]): Generator<string> {
  for (const { message, type } of messages) {
    yield '\n';
    if (type === 'alert') yield* banner(message);
    else if (type === 'basic') yield message;
    else throw new Error(`invalid message type: ${type}`);
    yield '\n\n';
  }
}

/** Yields the lines of a banner. A too long first word is put on a line after an empty one. */
function* banner(message: string): Generator<string> {
  yield RULE;
  yield '\n\n';
  let line = '';
  for (const word of message.split(/[\s\u0085]+/).filter((part) => part !== '')) {
    if (Buffer.byteLength(line) + 1 + Buffer.byteLength(word) > TEXT_WIDTH) {
      yield `${centred(line)}\n`;
      line = '';
    }
    line += `${word} `;
  }
  yield centred(line);
  yield '\n\n';
  yield RULE;
}

function centred(line: string): string {
  const text = line.trim();
  return ' '.repeat(Math.max(Math.floor((LINE_WIDTH - Buffer.byteLength(text)) / 2), 0)) + text;
}
