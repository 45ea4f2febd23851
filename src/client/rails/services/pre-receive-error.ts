import { GitalyError } from '#base/gitaly-error';

/** Matches lines of a hook that are meant for users. @see GitLab: Gitlab::Git::PreReceiveError */
const SAFE_LINE = /^(?:GitLab:|GL-HOOK-ERR:)\s*(.+)/;

/**
 * A hook, or GitLab's access check, refused a change. `message` has only the lines that begin with
 * `GitLab:` or `GL-HOOK-ERR:`, without the prefix: they may be shown to users.
 */
export class PreReceiveError extends GitalyError {
  override readonly name: string = 'PreReceiveError';
  /** All that the hook printed. It may contain internals. */
  readonly rawMessage: string;

  constructor(error: GitalyError, rawMessage: string) {
    super(error.code, safeMessage(rawMessage), {
      cause: error,
      details: error.details,
      metadata: error.metadata,
    });
    this.rawMessage = rawMessage;
  }
}

function safeMessage(text: string): string {
  const lines = text.split('\n').flatMap((line) => SAFE_LINE.exec(line)?.[1] ?? []);
  return lines.join('\n');
}
