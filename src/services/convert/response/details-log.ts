import type { HandlerContext } from '#rpc/server/handler';

/** Logs facts about a call on a separate line, before the call's line. */
export type DetailsLog = (fields: Readonly<Record<string, unknown>>, context: HandlerContext) => void;
