/** Does `body` for each item once, in order, `lanes` of them at a time; results are in the items' order. */
export async function inLanes<T, R>(
  lanes: number,
  items: readonly T[],
  body: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const waiting = items.entries();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const [index, item] of waiting) results[index] = await body(item);
    }),
  );
  return results;
}
