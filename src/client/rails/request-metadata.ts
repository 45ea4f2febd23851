import { randomUUID } from 'node:crypto';
import {
  CALL_SITE,
  CLIENT_CONTEXT,
  DEADLINE_TYPE,
  REMOTE_IP,
  USER_ID,
  USERNAME,
} from '#rpc/common/header-names';
import { Metadata } from '#rpc/common/metadata';
import { gitalyServers } from '../gitaly-servers.ts';
import { type ClientContext, currentClientContext } from './client-context.ts';
import { currentActors, type FeatureFlags, type FlagActors, featureFlagHeaders } from './feature-flags.ts';
import type { RequestStore } from './request-store.ts';
import type { StorageTarget } from './storages.ts';
import type { CallEnd } from './timeouts.ts';

/** Metadata that the caller sets for a call. */
export interface CallMarks {
  readonly callSite?: string;
  readonly partitioningHint?: string;
  readonly clientContext?: ClientContext;
}

/** Data about one call apart from its request. */
export interface CallFacts {
  readonly store: RequestStore | undefined;
  readonly end: CallEnd;
  readonly scope: CallMarks | undefined;
  /** Name and address of a second storage that the server must reach. */
  readonly remote: readonly [name: string, target: StorageTarget] | undefined;
  readonly flags: ((actors: FlagActors) => FeatureFlags) | undefined;
}

/**
 * Returns the metadata that GitLab's Rails sends, in addition to that of every connection. @see
 * GitLab: Gitlab::GitalyClient.request_kwargs
 */
export function requestMetadata({ store, end, scope = {}, remote, flags }: CallFacts): Metadata {
  const metadata = Metadata.from();
  const set = (key: string, value: string | undefined) => {
    if (value !== undefined && value !== '') metadata.set(key, value);
  };
  set(CALL_SITE, scope.callSite);
  set('gitaly-partitioning-hint', scope.partitioningHint);
  if (remote !== undefined) metadata.assign(gitalyServers({ [remote[0]]: remote[1] }));
  if (flags !== undefined)
    for (const [key, value] of featureFlagHeaders(flags(currentActors()))) set(key, value);
  const contexts = [store?.context.clientContext, currentClientContext(), scope.clientContext];
  if (contexts.some((each) => each !== undefined)) {
    const context = Object.assign({}, ...contexts);
    if (Object.keys(context).length > 0) set(CLIENT_CONTEXT, JSON.stringify(context));
  }
  // Rails has a new one for each call outside of a request.
  metadata.set('gitaly-session-id', store?.sessionId ?? randomUUID());
  if (store === undefined) return metadata;

  const { username, userId, glUserId, remoteIp, relativePath, isQuarantined } = store.context;

  set(USERNAME, username);
  set(USER_ID, userId);
  set('gl_user_id', glUserId);
  set(REMOTE_IP, remoteIp);
  set('relative-path-bin', relativePath);
  if (isQuarantined === true) set('gitaly-route-repository-accessor-policy', 'primary-only');
  if (store.deadline !== undefined) set(DEADLINE_TYPE, end.type);
  return metadata;
}
