import { flag, integer, secret, table, text } from '../keys.ts';

/** `[gitlab]`: the API that decides about pushes. */
export const gitlabTable = table(
  'The GitLab internal API, which allows or refuses pushes. Omit this table to run without GitLab; ' +
    'then every push is allowed.',
  {
    url: text({
      doc: 'URL of the API. For a Unix socket, percent-encode its path.',
      example: '"http+unix://%2Fhome%2Fgit%2Fgitlab%2Ftmp%2Fsockets%2Fgitlab-workhorse.socket"',
      shown: true,
      accepted: 'an http://, https:// or http+unix:// URL',
    }),
    relative_url_root: text({ doc: 'Path of the application behind a socket.', example: '"/"' }),
    secret_file: text({
      doc: 'File with the secret shared with GitLab. Default: .gitlab_shell_secret in gitlab-shell.dir.',
      example: '"/home/git/gitlab-shell/.gitlab_shell_secret"',
      shown: true,
      accepted: 'an existing file; not together with secret',
    }),
    secret: secret({ doc: 'The secret itself, instead of secret_file.' }),
    'http-settings': table('HTTP settings for calling the API.', {
      read_timeout: integer({
        doc: 'Seconds to wait for a response.',
        default: 300,
        type: 'uint64',
        example: '300',
      }),
      user: text({
        doc: 'User name, for HTTP basic authentication.',
        example: '"someone"',
        accepted: 'a text, together with password',
      }),
      password: secret({ doc: 'Password.', example: '"somepass"', accepted: 'a text, together with user' }),
      ca_file: text({
        doc: 'File with trusted certificates, PEM.',
        example: '"/etc/ssl/cert.pem"',
        accepted: 'an existing file',
      }),
      ca_path: text({
        doc: 'Directory with trusted certificates.',
        example: '"/etc/pki/tls/certs"',
        accepted: 'an existing directory',
      }),
      self_signed_cert: flag({
        doc: 'Accept any server certificate.',
        noEffect: 'removed in 16.0; use ca_file',
      }),
    }),
  },
);

/** `[gitlab-shell]`: defaults of older configurations. */
export const gitlabShellTable = table(
  'Deprecated. Provides the defaults of gitlab.secret_file and hooks.custom_hooks_dir.',
  {
    dir: text({
      doc: 'Directory of gitlab-shell.',
      example: '"/home/git/gitlab-shell"',
      accepted: 'an existing directory',
    }),
  },
);
