import { table, text, texts } from '../keys.ts';

/** Settings of the console of `gitaly serve` and of `praefect`. */
export const consoleTable = table('Console: pages for browsers about the server. Not in Gitaly.', {
  listen_addr: text({
    doc: 'HOST:PORT of the console. Without it there is none.',
    example: '"127.0.0.1:8081"',
    accepted: 'an address on loopback, or any with console.auth_file',
  }),
  storage: text({
    doc: 'Storage whose repositories are shown. Default: the first one.',
    example: '"default"',
    accepted: 'the name of a storage',
  }),
  auth_file: text({
    doc: 'File with users, made by gitaly-ts hash-password. Administrators see the calls of all users.',
    example: '"/etc/gitaly/console-users"',
    accepted: 'an existing file',
  }),
  certificate_path: text({
    doc: 'Certificate for HTTPS. Default: plain HTTP.',
    example: '"/etc/gitaly/console.pem"',
    accepted: 'an existing file, with console.key_path',
  }),
  key_path: text({
    doc: 'Key of the certificate.',
    example: '"/etc/gitaly/console-key.pem"',
    accepted: 'an existing file, with console.certificate_path',
  }),
  hosts: texts({
    doc: 'Names by which browsers reach the console on loopback, such as that of a local proxy.',
    example: '["git.example.com"]',
  }),
  clone_url: text({
    doc: 'Address before the path of a repository, for git clone. Without it the pages show none.',
    example: '"https://git.example.com"',
    accepted: 'an http:// or https:// URL without user and password',
  }),
});
