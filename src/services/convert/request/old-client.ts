import type { Metadata } from '#rpc/common/metadata';

/** Gitaly 15.11 has 1.53; this is of the end of 2023, when 16.6 was out. */
const FIRST_NEWER_GRPC_GO = 60;

/**
 * Reports whether a call may come from a client of Gitaly 15: `user-agent` names no grpc-go that is
 * newer than those. Newer clients in Go do not know the old fields, and tests that compare whole
 * messages find them.
 */
export function mayBeOldClient(headers: Metadata): boolean {
  const [, minor] = /(?:^| )grpc-go\/1\.(\d+)\./.exec(headers.get('user-agent') ?? '') ?? [];
  return minor === undefined || Number(minor) < FIRST_NEWER_GRPC_GO;
}
