/**
 * The allowed imports of a module (ARCHITECTURE.md), which go downwards only. Imports in the same
 * module and Node's own modules are free; anything not listed is forbidden. A name is a module or
 * one file of a module.
 */
export interface ModuleRule {
  readonly modules: readonly string[];
  /** Modules of which only types may be imported. */
  readonly types?: readonly string[];
  /** Allowed npm packages. */
  readonly packages?: readonly string[];
}

const PROTOBUF = '@bufbuild/protobuf';
const OPEN_TELEMETRY = '@opentelemetry';
const AWS = '@aws-sdk';
const AZURE = '@azure';
const GOOGLE_AUTH = 'google-auth-library';

export const RULES: Readonly<Record<string, ModuleRule>> = {
  base: { modules: [], packages: ['koffi', 're2js'] },
  wire: { modules: [], packages: [PROTOBUF] },
  platform: { modules: ['base'], packages: ['smol-toml', PROTOBUF] },
  'rpc/common': { modules: ['base', 'wire'], packages: [PROTOBUF] },
  'rpc/server': { modules: ['base', 'wire', 'platform', 'rpc/common'], packages: [PROTOBUF] },
  tokens: { modules: ['base'], packages: ['jose'] },
  git: { modules: ['base'] },
  'object-store': { modules: ['base'], packages: [AWS, AZURE, GOOGLE_AUTH] },
  generations: { modules: ['base', 'object-store'] },
  storage: { modules: ['base', 'git'] },
  events: { modules: ['base', 'git', 'storage', 'tokens/pattern'] },
  webhooks: { modules: ['base', 'events'] },
  domain: {
    modules: [
      'base',
      'git',
      'object-store',
      'storage',
      'client',
      'tokens/content-rules',
      'tokens/pattern',
      'tokens/push-rules',
      'tokens/reference-rules',
      'tokens/restriction',
    ],
    types: ['tokens/protected-references'],
    packages: ['smol-toml'],
  },
  archive: {
    modules: ['base', 'git', 'object-store', 'generations', 'storage', 'events', 'domain'],
  },
  'services/convert': {
    modules: ['base', 'wire', 'rpc/common', 'git', 'domain', 'tokens/push-rules'],
    types: ['platform', 'rpc/server/handler', 'storage'],
    packages: [PROTOBUF],
  },
  services: {
    modules: [
      'base',
      'wire',
      'rpc/common',
      'rpc/server/handler',
      'git',
      'object-store/store-error',
      'storage',
      'domain',
      'events',
      'services/convert',
    ],
    types: ['platform', 'object-store/object-store', 'archive'],
    packages: [PROTOBUF],
  },
  calls: {
    modules: [
      'base',
      'wire',
      'platform',
      'rpc/common',
      'rpc/server',
      'client/call/trace-context',
      'storage/statistics/bitmap-count',
      'webhooks/webhook-status',
      'workers/monitoring',
      'workers/protocol',
    ],
    types: ['git', 'storage', 'domain', 'webhooks', 'workers'],
    packages: [PROTOBUF, OPEN_TELEMETRY],
  },
  workers: { modules: ['base', 'platform'] },
  gitaly: {
    modules: [
      'workers',
      'calls',
      'base',
      'wire',
      'platform',
      'rpc/common',
      'rpc/server',
      'git',
      'object-store',
      'storage',
      'events',
      'webhooks',
      'domain',
      'archive',
      'services',
    ],
  },
  praefect: {
    modules: [
      'calls',
      'base',
      'wire',
      'platform',
      'workers',
      'rpc/common',
      'rpc/server',
      'client',
      'events/event-files',
      'events/event-source',
      'webhooks',
      'services/backup-runs/messages',
      'services/events',
    ],
    types: ['events/event'],
    packages: [PROTOBUF, 'smol-toml', 'kysely', 'pg'],
  },
  client: { modules: ['base', 'wire', 'rpc/common'], packages: [PROTOBUF] },
  gateway: {
    modules: [
      'base',
      'wire',
      'platform',
      'rpc/common',
      'object-store',
      'client',
      'tokens',
      'events/event-payload',
    ],
    packages: [PROTOBUF, 'smol-toml', 'ssh2', 'typebox'],
  },
  console: {
    modules: ['base', 'wire', 'client', 'gateway/http/pages/page-source'],
    types: ['calls/top/status'],
    packages: ['highlight.js', 'markdown-it', 'sanitize-html'],
  },
  hook: { modules: [] },
  tools: {
    modules: [
      'base',
      'wire',
      'platform',
      'rpc/common',
      'git',
      'object-store',
      'generations/open-bucket',
      'generations/system-environment',
      'storage',
      'domain/backup',
      'domain/bundle/bundle-selection',
      'domain/bundle/combined-bundle',
      'domain/bundle/empty-bundle-error',
      'domain/gitlab-api',
      'domain/hooks/payload',
      'gitaly',
      'client',
    ],
    types: ['calls/top/status'],
    packages: [PROTOBUF],
  },
  cli: {
    modules: [
      'base',
      'platform',
      'calls/family-calls',
      'calls/logs/api-log',
      'gitaly',
      'workers',
      'praefect',
      'gateway',
      'console',
      'client',
      'tokens',
      'tools',
    ],
    packages: ['commander'],
  },
};

/**
 * Folders of modules that are built in layers, the lowest first: a file may import from its own
 * folder and from lower ones. Files outside folders are above all.
 */
export const INNER_LAYERS: Readonly<Record<string, readonly string[]>> = {
  git: [
    'repository-files',
    'names',
    'command',
    'objects',
    'lines',
    'attributes',
    'trees',
    'refs',
    'history',
    'bitmap',
    'walk',
    'diff',
    'merge',
  ],
  praefect: [
    'model',
    'config',
    'database',
    'nodes',
    'store',
    'elections',
    'routing',
    'transactions',
    'replication',
    'repair',
    'feed',
    'tracking',
    'proxy',
    'coordinator',
    'checks',
    'status',
    'services',
    'metrics',
    'family',
    'backends',
  ],
};

/** Handles that are made of all layers of their module; each layer may import their types. */
export const HANDLES: readonly string[] = ['git/repository.ts'];

/**
 * Packages that only parts of their modules may import: folders, which end in a slash, or files.
 */
export const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  [OPEN_TELEMETRY]: ['calls/tracing/'],
  [AWS]: ['object-store/s3/'],
  [AZURE]: ['object-store/azure/'],
  [GOOGLE_AUTH]: ['object-store/gs/'],
  'highlight.js': ['console/rendering/highlight-code.ts'],
  'markdown-it': ['console/rendering/render-markdown.ts'],
  'sanitize-html': ['console/rendering/render-markdown.ts'],
  koffi: ['base/c-library.ts'],
  re2js: ['base/go/regexp/'],
  'smol-toml': [
    'platform/config/read-config.ts',
    'platform/config/flat-document.ts',
    'domain/backup/manifest.ts',
    'gateway/people/',
    'praefect/config/load-praefect-config.ts',
    'praefect/config/validate-praefect-config.ts',
  ],
  kysely: ['praefect/database/database.ts'],
  pg: ['praefect/database/database.ts', 'praefect/database/limited-client.ts'],
  ssh2: ['gateway/ssh/'],
  typebox: ['gateway/http/api/'],
};

/** The places that may import node:child_process, each with its reason. */
export const STARTS_PROCESSES: Readonly<Record<string, string>> = {
  'git/command/': 'the one place that starts git; hooks and other programs are started here too',
  'tools/git-command/': 'gitaly git: git for a person, with the terminal',
  'tools/test-env/': 'runs a server of any build, and builds it',
  'praefect/database/embedded-postgres.ts': 'runs a PostgreSQL for tests and small clusters',
  'cli/up/cluster/': 'runs the servers of a cluster, each in a process of its own',
  'platform/config/config-command.ts': 'config_command, run once before the server exists',
  'platform/process/handover/start-successor.ts': 'the next process of a restart',
  'platform/process/service-manager.ts': 'systemd-notify, where there is no FFI',
  'tools/wrapper/': 'gitaly-wrapper starts the server',
  'workers/worker-process.ts': 'further processes of this server',
};

/** Module that may import anything and that only tests import. */
export const TEST_MODULE = 'testkit';
