/** The connection is gone, or never came up, for a reason that another connection might not have. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** Nothing listens: the guest's kernel answers and says so (ECONNREFUSED). */
export class ConnectionRefused extends ConnectionLost {}

/** The server showed a key that was not made for this guest. Nothing of ours was sent. */
export class WrongHostKey extends Error {
  override readonly name = "WrongHostKey";
}

/** The server has the right key and does not take ours. */
export class LoginRefused extends Error {
  override readonly name = "LoginRefused";
}
