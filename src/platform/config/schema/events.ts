import { duration, flag, integer, secret, table, tables, text, texts } from '../keys.ts';
import { WEBHOOK_SECRET } from '../webhook-secret.ts';

const DEFAULT_BYTES = 256 * 1024 * 1024;
const DEFAULT_AGE_MS = 7 * 24 * 3600 * 1000;

export const eventsTable = table(
  'Change feed: an event for each change of a reference or repository. Not in Gitaly.',
  {
    enabled: flag({ doc: 'Enable it.' }),
    max_bytes: integer({
      doc: 'Size of the journal of a storage. Beyond it the oldest events are compacted, into as much again.',
      default: DEFAULT_BYTES,
      type: 'int64',
      accepted: 'at least 65536',
    }),
    max_age: duration({
      doc: 'Age at which events are compacted.',
      defaultMs: DEFAULT_AGE_MS,
      accepted: 'a duration in quotes, longer than "0s"',
    }),
  },
);

/** Settings of webhooks, which get the events of the change feed. */
export const webhookTables = tables(
  'A receiver of events of the change feed, which [events] enables. Not in Gitaly.',
  {
    name: text({
      doc: 'Unique name, in the status and in the file with its progress.',
      example: '"ci"',
      default: '',
      accepted: 'a name that no other webhook has',
    }),
    url: text({
      doc: 'Address to which each event is posted.',
      example: '"https://ci.example.com/hooks/git"',
      default: '',
      accepted: 'an http:// or https:// URL without user and password',
    }),
    secret: secret({
      doc: 'Key of the signatures (Standard Webhooks), of which the receiver has a copy.',
      accepted: WEBHOOK_SECRET,
    }),
    secret_file: text({
      doc: 'File with the secret, instead of secret.',
      example: '"/etc/gitaly/webhook-secret"',
      accepted: 'an existing file with a secret; not together with secret',
    }),
    storages: texts({
      doc: 'Storages whose events are sent. Empty: all.',
      example: '["default"]',
      accepted: 'a list of names of storages',
    }),
    path_prefix: text({
      doc: 'Beginning of the relative paths of repositories.',
      example: '"projects/"',
      default: '',
    }),
    reference_pattern: text({
      doc: 'Pattern of references: * matches any characters but a slash, ** any. Empty: all.',
      example: '"refs/heads/**"',
      default: '',
      accepted: 'a text of at most 256 characters',
    }),
    allow_private_addresses: flag({
      doc: 'Allow a receiver on this machine or in a private network.',
    }),
  },
);
