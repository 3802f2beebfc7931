// What of one turn of a replica its parts share: what they have done that others are to hear at its end, and the message in hand.

export class TurnState {
  /** Role, leader, term, standing or a link changed, or the gate opened. */
  hasRoleNews = false;
  hasCommitted = false;
  hasOrdered = false;
  /** The commit was taken back from the writers. */
  hasTakenBack = false;
  /** The body of the message being handled. */
  body: readonly Uint8Array[] = [];
  /** Nothing is done any more. */
  isDead = false;
}
