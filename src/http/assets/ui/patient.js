
// Many lookups of a list.

/** Seconds that a list waits for its next lookups. */
const WAIT_MAX_S = 20;

/** Asks for lookups, waiting where it is asked too fast: a long list is many requests for those without a key. */
async function askBatchInTime(lookups, asking) {
  for (;;) {
    try {
      return await askBatch(lookups, asking);
    } catch (failure) {
      if (!(failure instanceof TooMany) || failure.seconds > WAIT_MAX_S) throw failure;
      await pause(1000 * failure.seconds);
      if (asking.signal.aborted) throw new Failure("");
    }
  }
}
