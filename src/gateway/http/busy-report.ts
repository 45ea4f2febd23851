import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import type { GitService } from '#client/git/info-refs';
import { BUSY } from './failure.ts';

/**
 * Returns a refusal for overload in git's own protocol, as a response to a POST: git shows it as an
 * error of the remote, whereas it would show an HTTP status only as a number.
 */
export function busyReport(service: GitService): Buffer {
  if (service === 'git-upload-pack') return textPacket(`ERR ${BUSY}\n`);
  const report = Buffer.concat([textPacket('unpack server is busy\n'), FLUSH_PACKET]);
  return Buffer.concat([
    bandPacket(BAND.stderr, Buffer.from(`${BUSY}\n`)),
    bandPacket(BAND.stdout, report),
    FLUSH_PACKET,
  ]);
}
