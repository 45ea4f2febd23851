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
import { appendFeatureFlags, currentActors, type FeatureFlags, type FlagActors } from './feature-flags.ts';
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
export function requestMetadata({ store, end, scope, remote, flags }: CallFacts): Metadata {
  const metadata = Metadata.from();
  append(metadata, CALL_SITE, scope?.callSite);
  append(metadata, 'gitaly-partitioning-hint', scope?.partitioningHint);
  if (remote !== undefined) metadata.assign(gitalyServers({ [remote[0]]: remote[1] }));
  if (flags !== undefined) appendFeatureFlags(metadata, flags(currentActors()));
  appendClientContext(metadata, store?.context.clientContext, scope?.clientContext);
  // Outside of a request, Rails uses a new id for each call.
  metadata.append('gitaly-session-id', store?.sessionId ?? randomUUID());
  if (store === undefined) return metadata;

  const { username, userId, glUserId, remoteIp, relativePath, isQuarantined } = store.context;
  append(metadata, USERNAME, username);
  append(metadata, USER_ID, userId);
  append(metadata, 'gl_user_id', glUserId);
  append(metadata, REMOTE_IP, remoteIp);
  append(metadata, 'relative-path-bin', relativePath);
  if (isQuarantined === true) metadata.append('gitaly-route-repository-accessor-policy', 'primary-only');
  if (store.deadline !== undefined) metadata.append(DEADLINE_TYPE, end.type);
  return metadata;
}

function append(metadata: Metadata, key: string, value: string | undefined): void {
  if (value !== undefined && value !== '') metadata.append(key, value);
}

function appendClientContext(
  metadata: Metadata,
  ofRequest: ClientContext | undefined,
  ofCall: ClientContext | undefined,
): void {
  const surrounding = currentClientContext();
  if (ofRequest === undefined && surrounding === undefined && ofCall === undefined) return;
  const context = { ...ofRequest, ...surrounding, ...ofCall };
  if (Object.keys(context).length > 0) metadata.append(CLIENT_CONTEXT, JSON.stringify(context));
}
