import { messageOf } from '#base/gitaly-error';
import type { FinishedApiCall } from '#domain/gitlab-api/http-internal-api';
import { internalApi } from '#gitaly/services/internal-api';
import type { GitalyConfig } from '#platform/config/load-config';
import { newCorrelationId } from '#rpc/common/correlation-id';

/** Result of a check: lines for standard output, and the reason of a failure. */
export interface GitlabCheck {
  readonly lines: readonly string[];
  readonly failure: string | undefined;
  /** Milliseconds by which GitLab's clock is ahead of ours, to a second; if GitLab has sent its time. */
  readonly clockDifferenceMs?: number | undefined;
}

const LIMIT_MS = 60_000;

/** Checks the GitLab internal API of a configuration, and returns the texts that Gitaly prints. */
export async function checkGitlab(
  config: GitalyConfig,
  onCall?: (call: FinishedApiCall) => void,
): Promise<GitlabCheck> {
  if (!config.gitlab.url) {
    return {
      lines: ['Checking GitLab API access: SKIPPED'],
      failure: 'no GitLab is configured: set url in [gitlab] first',
    };
  }
  try {
    const api = await internalApi(config, onCall);
    const found = await api.check({
      signal: AbortSignal.timeout(LIMIT_MS),
      correlationId: newCorrelationId(),
    });
    const checkedAtMs = Date.now();
    return {
      lines: [
        'Checking GitLab API access: OK',
        `GitLab version: ${found.gitlabVersion}`,
        `GitLab revision: ${found.gitlabRevision}`,
        `GitLab Api version: ${found.apiVersion}`,
        `Redis reachable for GitLab: ${found.redis}`,
        'OK',
      ],
      failure: undefined,
      clockDifferenceMs: found.date && found.date.getTime() - checkedAtMs,
    };
  } catch (error) {
    return { lines: ['Checking GitLab API access: FAILED'], failure: messageOf(error) };
  }
}
