/** Sends SIGHUP to its process as soon as that listens for signals. */
const timer = setInterval(() => {
  if (process.listenerCount('SIGHUP') === 0) return;
  clearInterval(timer);
  process.kill(process.pid, 'SIGHUP');
}, 1);
