// Names that a system's servers and its driver must agree on.

/** Name of node `id` of a NATS cluster; it tells which of them leads. */
export function natsServerName(id: number): string {
  return `nats-${id}`;
}
