import { spawnSync } from 'node:child_process';

/** Reports whether programs in Ruby that use the gem `grpc` run here. */
export function hasRubyWithGrpc(): boolean {
  return spawnSync('ruby', ['-e', "require 'grpc'"]).status === 0;
}
