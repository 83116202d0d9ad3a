// One tab of a browser works at a desk: two would be handed the same fields under the same name.

import { DESK } from "./storage.js";

/** Calls `asleep` when another tab takes over; `others` when one is already there. Gives {take}. */
export function onlyOne({ asleep, others }) {
  if (typeof BroadcastChannel === "undefined") return { take() {} };
  const channel = new BroadcastChannel(`formscribe.desk.${DESK}`);
  let awake = true;
  channel.onmessage = ({ data }) => {
    if (data === "who" && awake) channel.postMessage("here");
    if (data === "here" && awake) {
      awake = false;
      others();
    }
    if (data === "mine" && awake) {
      awake = false;
      asleep();
    }
  };
  channel.postMessage("who");
  return {
    take() {
      awake = true;
      channel.postMessage("mine");
    },
  };
}
