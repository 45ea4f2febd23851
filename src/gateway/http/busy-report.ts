import type { GitService } from '#client/git/info-refs';
import { FLUSH_PACKET, packetHeader } from '#rpc/common/pkt-line';
import { BAND } from '#rpc/common/side-band';
import { BUSY } from './failure.ts';

/**
 * A refusal for load in git's own protocol, as an answer to a POST: git shows it as an error of the remote, where an HTTP status
 * would only be a number to its user.
 */
export function busyReport(service: GitService): Buffer {
  if (service === 'git-upload-pack') return packet(Buffer.from(`ERR ${BUSY}\n`));
  const report = Buffer.concat([packet(Buffer.from('unpack server is busy\n')), FLUSH_PACKET]);
  return Buffer.concat([band(BAND.stderr, Buffer.from(`${BUSY}\n`)), band(BAND.stdout, report), FLUSH_PACKET]);
}

function band(number: number, data: Buffer): Buffer {
  return packet(Buffer.concat([Buffer.of(number), data]));
}

function packet(data: Buffer): Buffer {
  return Buffer.concat([packetHeader(data.length), data]);
}
