import { flag, table, text } from '../keys.ts';

export const BUCKET = 'a path, or a URL with file://, mem://, s3://, gs:// or azblob://';

export const lfsTable = table('The files of Git LFS. Not in Gitaly.', {
  url: text({
    doc:
      'Bucket of the files, as in [backup]: that of the HTTP gateway. Archives with include_lfs_blobs ' +
      'contain the files from it.',
    example: '"s3://my-files?region=eu-west-1"',
    accepted: BUCKET,
  }),
  refuse_missing: flag({
    doc: 'Refuse pushes of pointers whose files are not in the bucket.',
    default: true,
    example: 'true',
  }),
});
