import type { MessageInitShape } from '@bufbuild/protobuf';
import type { FetchResult } from '#domain/upload-pack/fetch';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { CallLog } from '#rpc/server/handler';
import type { PackfileNegotiationStatisticsSchema } from '#wire/gen/packfile_pb';

/** Returns the part of the statistics that clients receive. */
export function toStatisticsMessage(
  statistics: NegotiationStatistics,
): MessageInitShape<typeof PackfileNegotiationStatisticsSchema> {
  return {
    payloadSize: BigInt(statistics.payloadBytes),
    packets: BigInt(statistics.packets),
    caps: [...statistics.capabilities],
    wants: BigInt(statistics.wants),
    haves: BigInt(statistics.haves),
    shallows: BigInt(statistics.shallows),
    deepen: statistics.deepen,
    filter: statistics.filter,
  };
}

/**
 * Puts what a client requested on its call's log line, and hands it to the metrics. A negotiation
 * that made no sense goes nowhere.
 */
export function reportNegotiation(
  result: FetchResult,
  log: CallLog,
  observe: ((statistics: NegotiationStatistics) => void) | undefined,
): void {
  if (!result.isWellFormed) return;
  const { command, userAgent, deepen, filter, haves, wants, shallows } = result.statistics;
  log.add({
    ...(command !== '' && { 'negotiation.command': command }),
    ...(userAgent !== '' && { 'negotiation.user_agent': userAgent }),
    ...(deepen !== '' && { 'negotiation.deepen': deepen }),
    ...(filter !== '' && { 'negotiation.filter': filter }),
    'negotiation.haves': haves,
    'negotiation.wants': wants,
    ...(shallows > 0 && { 'negotiation.shallows': shallows }),
  });
  observe?.(result.statistics);
}
