/**
 * Who may import whom (ARCHITECTURE.md): direction is down only. Same-room imports and Node's own modules are free; what is not
 * listed is forbidden. A name is a room or one file of a room.
 */
export interface RoomRule {
  readonly rooms: readonly string[];
  /** Of these only types may be imported. */
  readonly types?: readonly string[];
  /** From npm; a package not named here belongs to nobody. */
  readonly packages?: readonly string[];
}

const PROTOBUF = '@bufbuild/protobuf';

export const RULES: Readonly<Record<string, RoomRule>> = {
  base: { rooms: [] },
  wire: { rooms: ['base'], packages: [PROTOBUF] },
  platform: { rooms: ['base'], packages: ['@prometheus-io/client', 'smol-toml'] },
  'rpc/common': { rooms: ['base', 'wire'], packages: [PROTOBUF] },
  'rpc/server': { rooms: ['base', 'wire', 'platform', 'rpc/common'], packages: [PROTOBUF] },
  git: { rooms: ['base'], packages: ['koffi'] },
  storage: { rooms: ['base', 'git'] },
  domain: { rooms: ['base', 'git', 'storage', 'client'], types: ['platform'], packages: ['jose'] },
  services: {
    rooms: ['base', 'wire', 'rpc/common', 'git', 'storage', 'domain'],
    types: ['platform', 'rpc/server/handler'],
    packages: [PROTOBUF],
  },
  gitaly: {
    rooms: ['base', 'wire', 'platform', 'rpc/common', 'rpc/server', 'git', 'storage', 'domain', 'services', 'client'],
    packages: [PROTOBUF],
  },
  praefect: { rooms: ['base', 'wire', 'platform', 'rpc/common', 'rpc/server', 'client'], packages: [PROTOBUF] },
  client: { rooms: ['base', 'wire', 'rpc/common'], packages: [PROTOBUF] },
  gateway: { rooms: ['base', 'wire', 'platform', 'rpc/common', 'client'], packages: [PROTOBUF, 'ssh2'] },
  hook: { rooms: [] },
  tools: {
    rooms: ['base', 'wire', 'platform', 'rpc/common', 'git', 'storage', 'domain/hooks/payload', 'gitaly', 'client'],
    packages: [PROTOBUF],
  },
  cli: {
    rooms: ['base', 'platform', 'gitaly', 'praefect', 'gateway', 'client', 'domain/backup', 'tools'],
    packages: ['commander'],
  },
};

/** Packages that only a part of their room may import. */
export const ONLY_IN: Readonly<Record<string, string>> = { ssh2: 'gateway/ssh/' };

/** May import anything, and nobody outside the tests imports it. */
export const TEST_ROOM = 'testkit';
