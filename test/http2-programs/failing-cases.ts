const CLOSED = 'Node keeps no closed streams, so that nghttp2 ignores frames of one';
const PRIORITY = 'nghttp2 ignores PRIORITY, which RFC 9113 deprecates';

/** Cases of h2spec, `SPECIFICATION/SECTION/NUMBER`, that do not pass, with the reasons. */
export const FAILING_CASES: Readonly<Record<string, string>> = {
  'http2/5.1/8': CLOSED, // fails with grpc-go, too
  'http2/5.1/9': CLOSED,
  'http2/5.1/11': CLOSED, // fails with grpc-go, too
  'http2/5.1/12': CLOSED,
  'http2/5.1.1/2': CLOSED, // every lower number is that of a closed stream
  'http2/5.3.1/2': PRIORITY, // fails with grpc-go, too
  'http2/6.3/1': PRIORITY,
  'http2/6.7/2': 'Node closes a connection on which a ping is acknowledged that it has not sent',
  'http2/6.9.1/3': 'Node closes the connection where the stream alone may end', // fails with grpc-go, too
};
