export const CONFIG_TOML = `socket_path = "/run/gitaly.socket"
listen_addr = "127.0.0.1:8075"
graceful_restart_timeout = '10s'

[git]
catfile_cache_size = 50
[[git.config]]
key = "core.x"
value = "y\\n\\u00e9"

[[storage]]
name = "default"
path = "/srv"

[prometheus]
grpc_latency_buckets = [0.001, 0.5, 1e3]

[[concurrency]]
rpc = "/gitaly.SmartHTTPService/PostUploadPack"
max_per_repo = 1_000
`;

export const SETTINGS = `# a comment
[core]
\trepositoryformatversion = 1
\tbare = true
[extensions]
\tobjectformat = sha256
[remote "origin"]
\turl = https://example.com/a.git
\tfetch = +refs/*:refs/*
`;

export const AUTHORIZED_KEYS = `# keys
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2vZP2Zx2ZyZcZ7a0U1hYd7hQ0c3sA9m0mG8b6x1Yq1 jane@example.com
no-pty,no-port-forwarding ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 "quoted"
command="x \\"y\\"",from="10.0.0.0/8" ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= c
`;

const SHA256 = `sha256:${'a1'.repeat(32)}`;

export const AUTH_FILE = `# name rights hash paths
jane write ${SHA256} group/a.git group/*
joe read sha256:${'b2'.repeat(32)}
anonymous read -
`;

export const PEOPLE_FILE = `# people
[[person]]
name = "jane"
write = ["group/a", "docs.git"]
read = true
[[person.key]]
name = "laptop"
key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2vZP2Zx2ZyZcZ7a0U1hYd7hQ0c3sA9m0mG8b6x1Yq1 jane@example.com"
access = "read"
repositories = ["group/a"]
[[person.token]]
name = "ci"
hash = "${SHA256}"
[[deploy_key]]
name = "ci"
repository = "group/a"
key = '''ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2vZP2Zx2ZyZcZ7a0U1hYd7hQ0c3sA9m0mG8b6x1Yq2'''
`;

const OID = '1'.repeat(40);

/** Samples of the formats that are short texts. */
export const TEXTS = {
  idents: ['Jane Doe <jane@x> 1700000000 +0100', ' <> 0 -0000', 'A <a@b> 99999999999999999999 +9999'],
  trailers: ['Signed-off-by: A <a@b>\0Change-Id: I1\0', 'x\0y: z\0'],
  lfsPointers: [
    `version https://git-lfs.github.com/spec/v1\noid sha256:${'a1'.repeat(32)}\nsize 12345\n`,
    `version https://git-lfs.github.com/spec/v1\next-0-x sha256:${'b2'.repeat(32)}\noid sha256:${'a1'.repeat(32)}\nsize 1\n`,
  ],
  mailmaps: ['# x\nJane <j@x>\n<new@x> <old@x>\nJane Doe <j@x> joe <OLD@x>\n', 'A <a@b> 1 +0000'],
  attributes: [
    '* text=auto\n*.c diff=cpp -text !eol\n[attr]x a b=c\n"quoted\\tname" linguist-generated\n',
    'a/**/b/*[!x-z]?.txt binary\n\\!x y\n',
  ],
  alternates: ['../other.git/objects\n# x\n/abs\n"quoted\\n"\n'],
  looseRefs: [`${OID}\n`, 'ref: refs/heads/main\n'],
  quotedPaths: ['plain', '"a\\tb\\303\\244"', '"\\\\\\""'],
  packets: [
    `0032want ${OID}\n00000032have ${OID}\n0009done\n`,
    `0012command=fetch\n0001000ddeepen 1\n0032want ${OID}\n0009done\n0000`,
    '0004000000010002',
  ],
  sideBands: ['0009\x01data0009\x02text0006\x03!'],
  relays: [
    `H pre-receive\nO /r/objects/incoming-x\nP an option\n+ goes on\nD\n ${OID} ${OID} refs/heads/main\n.\n`,
    `H update\nA refs/heads/main\nA ${OID}\nA ${OID}\n`,
  ],
  pax: ['30 mtime=1700000000.123456789\n14 path=a/b/c\n', '11 size=99\n'],
  hashes: [SHA256, `scrypt:15:8:1:${'c2FsdA'}:${'ZGlnZXN0'}`, `scrypt$ln=15,r=8,p=1$c2FsdA$ZGlnZXN0`],
  credentials: ['Basic amFuZTpzZWNyZXQ=', 'Bearer abc.def'],
  gitCommands: [
    "git-upload-pack 'group/a.git'",
    "git receive-pack 'it'\\''s.git'",
    'git-upload-archive a.git',
  ],
  paths: ['group/project.git', 'a%20b/c%2Fd.git', '~x/../y'],
  resolutions: [
    '[{"old_path":"a","new_path":"a","sections":{"id_1_2":"head"}},' +
      '{"old_path":"b","new_path":"b","content":"x\\u00e9"}]',
  ],
  urls: ['https://user:pw@example.com:8443/a.git', 'ssh://git@[::1]:22/a', 'http://127.0.0.1/%2e%2e/a'],
  versions: ['git version 2.39.5', 'git version 2.53.0.rc1.windows.1 (Apple Git-1)'],
} as const;
