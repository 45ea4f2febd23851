import { GitalyError } from '#base/gitaly-error';

/** Matches lines of a hook that are meant for users. @see GitLab: Gitlab::Git::PreReceiveError */
const SAFE_LINE = /^(?:GitLab:|GL-HOOK-ERR:)\s*(.+)/;

/** Text for users where the hook has none. @see GitLab: CUSTOM_HOOK_FALLBACK_MESSAGE */
const FALLBACK = 'Prevented by server hooks';

/**
 * A hook, or GitLab's access check, refused a change. `message` may be shown to users: it is the
 * reason of the access check, or those lines of the hook that begin with `GitLab:` or
 * `GL-HOOK-ERR:`, without the prefix.
 */
export class PreReceiveError extends GitalyError {
  override readonly name: string = 'PreReceiveError';
  /** All that the hook printed. It may contain internals. Empty for an access check. */
  readonly rawMessage: string;

  constructor(error: GitalyError, rawMessage: string, fallback = FALLBACK) {
    super(error.code, safeMessage(rawMessage) || fallback, {
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
