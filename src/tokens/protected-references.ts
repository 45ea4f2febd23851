import { EVERYBODY, namesOf, type Restriction, restrictions } from './restriction.ts';

/** Who may change references: names of users, or `*` for everybody. */
export interface ProtectedReference extends Restriction {
  readonly create: readonly string[];
  /** Move to a descendant of their commit. Who may replace commits may do that, too. */
  readonly update: readonly string[];
  /** Move to any other object. */
  readonly force: readonly string[];
  readonly delete: readonly string[];
}

export type ProtectedAction = Exclude<keyof ProtectedReference, 'on'>;

/** `[{ "on": "refs/heads/main", "update": ["alice"], "force": [], "delete": [] }]` */
export const PROTECTED = restrictions<ProtectedReference>(
  'protected',
  ['create', 'update', 'force', 'delete'],
  (fields) => ({
    create: namesOf(fields, 'create', [EVERYBODY]),
    update: namesOf(fields, 'update', [EVERYBODY]),
    force: namesOf(fields, 'force', [EVERYBODY]),
    delete: namesOf(fields, 'delete', [EVERYBODY]),
  }),
);
