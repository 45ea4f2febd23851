export const MOMENTS = ['before send', 'after send', 'before receive', 'after receive'] as const;

/** When a worker dies: at this message of those that are about leases, counted from 1. */
export interface KillPoint {
  readonly at: number;
  readonly moment: (typeof MOMENTS)[number];
}

/** Kinds of messages about leases, as a worker sends and receives them. Metrics are asked of it. */
export const COUNTED: Readonly<Record<'send' | 'receive', ReadonlySet<string>>> = {
  send: new Set(['ask', 'end', 'remark']),
  receive: new Set(['answer', 'failure', 'note', 'recall']),
};
