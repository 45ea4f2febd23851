import type { Operation } from './operations.ts';
import { type Conditions, NO_FAULTS, type Thread } from './run.ts';

export const QUIET: Conditions = {
  servers: 2,
  faults: NO_FAULTS,
  crashes: 0,
  pauses: false,
  outages: false,
  drift: 0,
  silent: [],
  untilMs: 120_000,
  thinkMs: 2000,
};

export const BEFORE: readonly Operation[] = ['create', 'write a', 'write b'];

const LOSSES = { ...NO_FAULTS, refused: 0.05, lostReply: 0.1, late: 0.1, repeated: 0.1, lateMs: 20_000 };
const PUT_GENERATION = /^PUT .*\/g\//;
const RENEWAL = /^REPLACE nodes/;
const slowRenewals = { server: 'S0', requests: RENEWAL, ms: 20_000, share: 0.4 };

function repeated(count: number, ...operations: Operation[]): Operation[] {
  return Array.from({ length: count }, () => operations).flat();
}

/** Small scenarios, most of them those of the first model of the protocol. */
export const DIRECTED: Readonly<
  Record<
    string,
    { readonly before?: readonly Operation[]; readonly threads: readonly Thread[] } & Partial<Conditions>
  >
> = {
  'write-lost': {
    faults: LOSSES,
    threads: [
      { server: 0, script: ['write a', 'write a', 'write a'] },
      { server: 0, script: ['read', 'read', 'read', 'read'] },
    ],
  },
  group: {
    faults: LOSSES,
    thinkMs: 100,
    threads: [
      // A generation has one inline pack, and any number of those that are pushed.
      { server: 0, script: ['write a', 'write a'] },
      ...['b', 'c', 'd'].map((name): Thread => ({ server: 0, script: [`push ${name}`, `push ${name}`] })),
      { server: 0, script: ['read', 'read', 'read'] },
    ],
  },
  rivals: {
    servers: 3,
    faults: { ...LOSSES, conflict: 0.5 },
    threads: [
      { server: 0, script: ['write a', 'write a', 'write a', 'release'] },
      { server: 1, script: ['own', 'own', 'write a', 'own', 'write b'] },
      { server: 2, script: ['own', 'own', 'write a', 'own', 'write b'] },
    ],
  },
  lease: {
    drift: 0.1,
    pauses: true,
    faults: { ...NO_FAULTS, slow: 0.1, slowMs: 2000, slowest: [{ ...slowRenewals, ms: 4000, share: 0.7 }] },
    thinkMs: 900,
    threads: [
      { server: 0, script: repeated(40, 'read') },
      { server: 0, script: repeated(40, 'read') },
      { server: 1, script: repeated(12, 'own', 'write a') },
    ],
  },
  release: {
    threads: [
      { server: 0, script: ['write a', 'read', 'read', 'read', 'read', 'read'] },
      { server: 0, script: ['release'] },
      { server: 1, script: ['own', 'own', 'write a', 'own', 'write b', 'read'] },
    ],
  },
  remove: {
    threads: [
      { server: 0, script: ['read', 'remove', 'create', 'write a', 'read'] },
      { server: 0, script: ['read', 'read', 'read', 'read', 'read', 'read'] },
      { server: 1, script: ['create', 'write a', 'create', 'write a', 'read', 'create', 'write a'] },
    ],
  },
  'removed-reads': {
    threads: [
      { server: 0, script: ['remove', 'create'] },
      { server: 0, script: Array<Operation>(8).fill('read') },
      { server: 1, script: ['create', 'write a', 'create', 'write a', 'create', 'write a'] },
    ],
    thinkMs: 400,
  },
  inversion: {
    faults: { ...NO_FAULTS, slowest: [{ server: 'S0', requests: PUT_GENERATION, ms: 5000 }] },
    threads: [
      { server: 0, script: repeated(3, 'write a') },
      { server: 0, script: repeated(20, 'read') },
      { server: 1, script: repeated(10, 'cold') },
    ],
    thinkMs: 600,
  },
  'cold-read': {
    silent: [0],
    faults: { ...NO_FAULTS, slowest: [{ server: 'S1', requests: /^GET .*\/g\//, ms: 40_000 }] },
    threads: [
      {
        server: 0,
        script: [
          ...repeated(4, 'write a'),
          'wait 3000',
          'checkpoint',
          'wait 9000',
          'renew',
          'collect',
          'release',
        ],
      },
      { server: 1, script: ['wait 1000', 'cold', 'cold', 'cold'] },
      { server: 1, script: ['wait 3000', 'cold', 'cold', 'cold'] },
    ],
    thinkMs: 1000,
  },
  zombie: {
    servers: 3,
    silent: [0, 2],
    untilMs: 200_000,
    faults: { ...NO_FAULTS, slowest: [{ server: 'S1', requests: PUT_GENERATION, ms: 60_000, share: 0.8 }] },
    threads: [
      {
        server: 0,
        script: [
          ...([
            'wait 5000',
            'write a',
            'write a',
            'write b',
            'renew',
            'own',
            'write a',
            'checkpoint',
          ] as const),
          ...(['wait 9000', 'renew', 'collect', 'write a', 'write b', 'checkpoint'] as const),
        ],
      },
      { server: 1, script: ['own', 'wait 4600', 'own', 'read', 'write a', 'own', 'read', 'write a', 'read'] },
      { server: 1, script: ['wait 20000', ...repeated(8, 'wait 4000', 'read')] },
      { server: 2, script: ['wait 20000', 'own', 'wait 4600', 'own', 'write a'] },
    ],
  },
  'old-position': {
    servers: 2,
    silent: [0, 1],
    untilMs: 200_000,
    threads: [
      {
        server: 1,
        script: [
          'own',
          'wait 4600',
          'own',
          'write a',
          'wait 14000',
          'write a',
          'wait 12000',
          'own',
          'wait 4600',
          'own',
          'write b',
          'read',
        ],
      },
      {
        server: 0,
        script: [
          ...([
            'wait 7000',
            'own',
            'wait 4600',
            'own',
            'renew',
            'own',
            'wait 4600',
            'own',
            'write a',
            'write b',
            'write a',
          ] as const),
          ...(['checkpoint', 'wait 8500', 'renew', 'collect', 'release'] as const),
        ],
      },
    ],
    thinkMs: 500,
  },
  'zombie-floor': {
    silent: [0],
    untilMs: 200_000,
    faults: { ...NO_FAULTS, slowest: [{ server: 'S1', requests: PUT_GENERATION, ms: 60_000, share: 0.8 }] },
    threads: [
      {
        server: 0,
        script: ['wait 5000', 'write a', 'checkpoint', 'collect', 'wait 5000', 'write b', 'write a'],
      },
      { server: 1, script: ['own', 'wait 4600', 'own', 'read', 'write a', 'read', 'write b'] },
      { server: 1, script: ['wait 8000', ...repeated(8, 'wait 2000', 'read')] },
    ],
    thinkMs: 1000,
  },
  'zombie-deep': {
    servers: 3,
    silent: [0, 2],
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      slowest: [
        { server: 'S2', requests: PUT_GENERATION, ms: 40_000, share: 0.9 },
        { server: 'S1', requests: /^GET .*\/g\//, ms: 40_000, share: 0.3 },
      ],
    },
    threads: [
      {
        server: 0,
        script: [
          'wait 5000',
          'write b',
          'write a',
          'renew',
          'own',
          'checkpoint',
          'wait 8500',
          'renew',
          'collect',
        ],
      },
      { server: 2, script: ['own', 'wait 4600', 'own'] },
      ...[1, 1, 1, 1].map((server): Thread => ({ server, script: repeated(6, 'cold') })),
    ],
    thinkMs: 2000,
  },
  deposed: {
    silent: [0],
    untilMs: 200_000,
    faults: { ...NO_FAULTS, slowest: [{ server: 'S0', requests: /\/g\//, ms: 40_000, share: 0.3 }] },
    threads: [
      {
        server: 0,
        script: ['write a', 'wait 4000', 'write a', 'write b', 'wait 12000', 'write a', 'write b', 'write a'],
      },
      {
        server: 1,
        script: [
          'own',
          'wait 4600',
          'own',
          'write a',
          'write b',
          'checkpoint',
          'wait 9000',
          'collect',
          'write a',
        ],
      },
    ],
  },
  doubt: {
    silent: [0],
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      lost: [{ server: 'S0', requests: /\/g\//, share: 0.8, fromMs: 2000, untilMs: 12_000 }],
    },
    threads: [
      { server: 0, script: ['wait 2500', 'write a', 'wait 20000', 'write b', 'read', 'write a'] },
      { server: 0, script: ['wait 3500', 'write b', 'wait 20000', 'read', 'write b', 'read'] },
      {
        server: 1,
        script: [
          'own',
          'wait 4600',
          'own',
          'own',
          'write a',
          'checkpoint',
          'wait 8500',
          'collect',
          'write a',
          'checkpoint',
          'wait 9000',
          'collect',
        ],
      },
    ],
  },
  checkpoints: {
    servers: 3,
    silent: [0],
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      refused: 0.02,
      lostReply: 0.02,
      lateMs: 40_000,
      slowest: [{ server: 'S0', requests: /floor|cp/, ms: 60_000, share: 0.3 }],
      lost: [{ server: 'S', requests: /floor/, share: 0.3, fromMs: 0, untilMs: 60_000 }],
    },
    threads: [
      {
        server: 0,
        script: [
          ...repeated(3, 'write a', 'checkpoint', 'own'),
          'renew',
          'wait 9000',
          'renew',
          'collect',
          'own',
          'collect',
        ],
      },
      {
        server: 1,
        script: [
          'own',
          'wait 4600',
          ...repeated(3, 'own', 'write a', 'checkpoint', 'wait 9000', 'collect'),
          'cold',
        ],
      },
      { server: 2, script: ['cold', 'wait 9000', 'cold', 'wait 9000', 'cold', 'own', 'write b'] },
    ],
  },
  'floor-late': {
    servers: 1,
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      lateMs: 60_000,
      lost: [{ server: 'S0', requests: / .*floor/, share: 0.6, fromMs: 0, untilMs: 20_000 }],
    },
    threads: [
      {
        server: 0,
        script: repeated(4, 'own', 'write a', 'checkpoint', 'own', 'collect', 'wait 9000', 'own', 'collect'),
      },
    ],
    thinkMs: 500,
  },
  packs: {
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      slow: 0.05,
      slowMs: 5000,
      slowest: [{ server: 'S0', requests: /^PUT .*\/p\//, ms: 20_000, share: 0.4 }],
    },
    threads: [
      { server: 0, script: ['push a', 'push b', 'push a', 'reuse b', 'push a', 'push b'] },
      { server: 0, script: ['write a', 'checkpoint', 'wait 8500', ...repeated(12, 'collect', 'wait 500')] },
      {
        server: 0,
        script: ['push c', 'repack', 'reuse c', 'repack', 'push c', 'repack', 'repack', 'repack'],
      },
    ],
    thinkMs: 2000,
  },
  'new-epoch': {
    silent: [0],
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      slowest: [
        { server: 'S0', requests: /^PUT .*\/p\//, ms: 8000, share: 0.9 },
        { server: 'S1', requests: PUT_GENERATION, ms: 60_000, share: 0.9 },
      ],
    },
    threads: [
      { server: 0, script: ['wait 2000', 'push a', 'push b', 'push a', 'own', 'push b'] },
      { server: 0, script: ['wait 7500', ...repeated(12, 'renew', 'wait 700')] },
      { server: 1, script: ['own', 'wait 4600', 'own'] },
    ],
    thinkMs: 500,
  },
  forks: {
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      slow: 0.05,
      slowMs: 5000,
      slowest: [{ server: 'S1', requests: /^PUT .*pin/, ms: 40_000, share: 0.6 }],
    },
    threads: [
      {
        server: 0,
        script: repeated(5, 'write a', 'checkpoint', 'repack', 'checkpoint', 'wait 8500', 'collect'),
      },
      { server: 1, script: repeated(12, 'fork', 'wait 2000') },
    ],
    thinkMs: 3000,
  },
  erase: {
    untilMs: 200_000,
    faults: { ...NO_FAULTS, refused: 0.01, lostReply: 0.01, slow: 0.05, slowMs: 5000 },
    threads: [
      {
        server: 0,
        script: [
          ...(['push a', 'checkpoint', 'push b', 'erase', 'remove', 'erase', 'checkpoint'] as const),
          ...(['erase', 'wait 9000', 'collect', 'erase', 'collect', 'create', 'write a', 'read'] as const),
        ],
      },
      { server: 0, script: ['wait 2000', 'fork', 'wait 12000', 'fork', 'read', 'read'] },
      {
        server: 1,
        script: repeated(6, 'cold', 'erase', 'checkpoint', 'wait 9000', 'claim', 'collect', 'create'),
      },
    ],
  },
  claim: {
    silent: [0],
    untilMs: 200_000,
    faults: {
      ...NO_FAULTS,
      lateMs: 60_000,
      slowest: [{ server: 'S0', requests: /floor|\/g\//, ms: 60_000, share: 0.3 }],
      lost: [{ server: 'S', requests: /floor/, share: 0.3, fromMs: 0, untilMs: 60_000 }],
    },
    threads: [
      { server: 0, script: repeated(4, 'write a', 'checkpoint', 'own', 'push b', 'claim', 'collect') },
      {
        server: 1,
        script: ['own', ...repeated(8, 'wait 4600', 'own', 'claim', 'collect', 'write a', 'checkpoint')],
      },
      { server: 1, script: repeated(12, 'cold', 'wait 5000') },
    ],
  },
  restore: {
    untilMs: 200_000,
    thinkMs: 400,
    threads: [
      {
        server: 0,
        script: repeated(8, 'own', 'push a', 'wait 9000', 'push b', 'own', 'repack', 'checkpoint', 'release'),
      },
      { server: 1, script: repeated(60, 'own', 'claim', 'collect', 'release', 'wait 1500') },
      { server: 1, script: repeated(40, 'restore') },
    ],
  },
  inline: {
    threads: [
      {
        server: 0,
        script: ['write a', 'write b', 'checkpoint', 'wait 9000', 'collect', 'write a', 'checkpoint'],
      },
    ],
  },
  crash: {
    crashes: 0.02,
    faults: LOSSES,
    threads: [
      {
        server: 0,
        script: ['write a', 'own', 'write a', 'read', 'own', 'write a', 'read', 'own', 'read', 'checkpoint'],
      },
      { server: 0, script: ['read', 'read', 'own', 'read', 'write b', 'read'] },
      { server: 1, script: ['own', 'read', 'own', 'write a', 'own', 'read'] },
    ],
  },
  epoch: {
    silent: [0],
    untilMs: 200_000,
    faults: { ...NO_FAULTS, late: 0.3, lateMs: 60_000 },
    threads: [
      { server: 0, script: ['write a', 'write a', 'crash'] },
      { server: 0, script: ['wait 9000', 'own', 'write a', 'own', 'write b', 'read'] },
      { server: 1, script: ['own', 'wait 4600', 'own', 'write a', 'checkpoint', 'wait 9000', 'collect'] },
    ],
  },
};
