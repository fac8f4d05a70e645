/** Between two looks of `natprobed top`. */
export const DEFAULT_INTERVAL_SECONDS = 1;
