/** Made by `make client-types` of the OpenAPI document. */

/** An amount in a currency (ISO 4217), including taxes. */
export interface Money {
  amount: number;
  currency: string;
}

/** The data of the event charging.complete. */
export interface ChargingComplete {
  /** The charging session. */
  session_id: string;
  /** Whether the battery is full, a limit that the driver set was reached, or nobody knows why it ended. */
  kind: "ended" | "full" | "limit_reached";
  /** The station's name as drivers know it. */
  station: string;
  /** Energy delivered, in kWh. */
  energy_kwh: number;
  /** When charging stopped. */
  completed_at: string | Date;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** What it costs so far. */
  cost?: Money;
  /** When an idle fee starts, if there is one. */
  idle_fee_from?: string | Date;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event charging.interrupted. */
export interface ChargingInterrupted {
  /** The charging session. */
  session_id: string;
  /** Why charging stopped. */
  reason: "other" | "power_outage" | "station_fault" | "vehicle_stopped";
  /** The station's name as drivers know it. */
  station: string;
  /** When charging stopped. */
  stopped_at: string | Date;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** Energy delivered until then, in kWh. */
  energy_kwh?: number;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event charging.resumed. */
export interface ChargingResumed {
  /** The charging session. */
  session_id: string;
}

/** The data of the event idle.warning. */
export interface IdleWarning {
  /** The charging session. */
  session_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** When the idle fee starts. */
  idle_fee_from: string | Date;
  /** What a minute costs from then on, taxes included. */
  fee_per_minute: Money;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** The most it can come to, taxes included. */
  max_fee?: Money;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event marketing.offer. */
export interface MarketingOffer {
  /** The segment that it is for (docs/audiences.md). */
  segment_id: string;
  /** The campaign: nobody hears twice of the same one. */
  campaign_id: string;
  /** What is offered, in up to 40 letters; in the language that the segment chooses people by. */
  title: string;
  /** The offer in a sentence or two, in the same language; the push shows the first 60 letters. */
  text: string;
  /** When the offer ends. */
  valid_until?: string | Date;
  /** The code to give when paying. */
  code?: string;
  /** The price per kWh while it lasts. */
  price?: Money;
  /** Where and for whom it holds, in a sentence. */
  conditions?: string;
}

/** The data of the event marketing.offer_withdrawn. */
export interface MarketingOfferWithdrawn {
  /** The campaign: nobody hears twice of the same one. */
  campaign_id: string;
}

/** The data of the event offer.accepted. */
export interface OfferAccepted {
  /** The offer: one place in the queue, held for one driver. */
  offer_id: string;
}

/** The data of the event offer.declined. */
export interface OfferDeclined {
  /** The offer: one place in the queue, held for one driver. */
  offer_id: string;
}

/** The data of the event offer.expired. */
export interface OfferExpired {
  /** The offer: one place in the queue, held for one driver. */
  offer_id: string;
}

/** The data of the event payment.failed. */
export interface PaymentFailed {
  /** The account that owes it. */
  account_id: string;
  /** Which attempt failed, from 1. */
  attempt: number;
  /** What is owed, taxes included. */
  amount: Money;
  /** Whether the driver can't charge until it is paid. */
  blocked: boolean;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** What could not be charged, such as Visa •••• 4242. */
  payment_method?: string;
  /** When it is tried again, if it is. */
  next_attempt_at?: string | Date;
}

/** The data of the event payment.succeeded. */
export interface PaymentSucceeded {
  /** The account that owes it. */
  account_id: string;
}

/** The data of the event port.free. */
export interface PortFree {
  /** The alert that the driver asked for: it is answered once. */
  alert_id: string;
  /** The station's id, as it was put by OCPI. */
  station_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** Which of its ports is free. */
  port: string;
  /** Until when nobody else who waits is told of it. */
  until: string | Date;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** The most that the port gives, in kW. */
  power_kw?: number;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event receipt.withdrawn. */
export interface ReceiptWithdrawn {
  /** The charging session. */
  session_id: string;
}

/** The data of the event session.ended. */
export interface SessionEnded {
  /** The charging session. */
  session_id: string;
}

/** The data of the event session.receipt. */
export interface SessionReceipt {
  /** The charging session. */
  session_id: string;
  /** The charge detail record: the final word on what it cost. */
  cdr_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** When the session started. */
  started_at: string | Date;
  /** When the session ended. */
  ended_at: string | Date;
  /** How long the session lasted, in minutes. */
  duration_min: number;
  /** Energy delivered, in kWh. */
  energy_kwh: number;
  /** What is charged, taxes included. */
  total: Money;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** Where it is: street and town. */
  address?: string;
  /** The taxes in the total. */
  tax?: Money;
  /** The idle fee in the total. */
  idle_fee?: Money;
  /** What it is charged to, such as Visa •••• 4242. */
  payment_method?: string;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event session.started. */
export interface SessionStarted {
  /** The charging session. */
  session_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** When charging started. */
  started_at: string | Date;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** The most power the connector gives, in kW. */
  power_kw?: number;
  /** The price of a kWh, taxes included. */
  price_per_kwh?: Money;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event station.available. */
export interface StationAvailable {
  /** The topic whose subscribers are told, such as station:BE*BEC*E041503003. */
  topic: string;
  /** The station. */
  station_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** Since when it has been free: nobody hears twice of the same time. */
  since: string | Date;
  /** How many of its connectors are free. */
  connectors?: number;
  /** The most that one of them gives, in kW. */
  power_kw?: number;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event station.occupied. */
export interface StationOccupied {
  /** The station. */
  station_id: string;
}

/** The data of the event station.offline. */
export interface StationOffline {
  /** The site whose operators are told. */
  site_id: string;
  /** The site's name. */
  site: string;
  /** The station. */
  station_id: string;
  /** The station's name. */
  station: string;
  /** When it was last heard from. */
  since: string | Date;
  /** How many connectors are out of reach. */
  connectors?: number;
  /** The last error it reported, as the station names it. */
  error_code?: string;
  /** The time zone of the site, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event station.online. */
export interface StationOnline {
  /** The site whose operators are told. */
  site_id: string;
  /** The site's name. */
  site: string;
  /** The station. */
  station_id: string;
  /** The station's name. */
  station: string;
  /** When it was heard from again. */
  online_since: string | Date;
  /** For how many minutes it was away. */
  offline_min?: number;
  /** The time zone of the site, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event subscription.paused. */
export interface SubscriptionPaused {
  /** The team that owns the subscription. */
  team: string;
  /** The subscription's id. */
  subscription: string;
  /** The host to which its changes were sent. */
  endpoint: string;
  /** Why: its endpoint said that it is gone, or failed for days; its key is good no more; its next changes are not kept. */
  reason: "failing" | "gone" | "key_lost" | "past_retention";
  /** Since when nothing is sent. */
  paused_at: string | Date;
  /** The endpoint's last answer: a status, or what prevented the request. */
  answer?: string;
}

/** The data of the event vehicle.not_ready. */
export interface VehicleNotReady {
  /** The fleet whose managers are told. */
  fleet_id: string;
  /** The vehicle. */
  vehicle_id: string;
  /** The vehicle's name as the fleet knows it. */
  vehicle: string;
  /** When it is planned to leave. */
  departure: string | Date;
  /** How full the battery is now, 0 to 100. */
  charge_percent: number;
  /** How full it must be to leave, 0 to 100. */
  needed_percent: number;
  /** Why it won't be ready. */
  reason: "charging_slowly" | "charging_stopped" | "not_plugged_in" | "other";
  /** Where it stands. */
  depot?: string;
  /** When it will be ready at this rate, if it is charging. */
  ready_at?: string | Date;
  /** The time zone of the depot, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of the event vehicle.ready. */
export interface VehicleReady {
  /** The vehicle. */
  vehicle_id: string;
}

/** The data of the event waitlist.your_turn. */
export interface WaitlistYourTurn {
  /** The offer: one place in the queue, held for one driver. */
  offer_id: string;
  /** The station's name as drivers know it. */
  station: string;
  /** Until when it is held for the driver. */
  respond_by: string | Date;
  /** The driver, where the network knows them. */
  driver_id?: string;
  /** The charging token used: OCPI contract id or RFID uid. */
  token?: string;
  /** The connector's power, in kilowatts. */
  power_kw?: number;
  /** The time zone of the station, such as Europe/Lisbon: times are told by its clocks. */
  time_zone?: string;
}

/** The data of each event type. */
export interface EventData {
  "charging.complete": ChargingComplete;
  "charging.interrupted": ChargingInterrupted;
  "charging.resumed": ChargingResumed;
  "idle.warning": IdleWarning;
  "marketing.offer": MarketingOffer;
  "marketing.offer_withdrawn": MarketingOfferWithdrawn;
  "offer.accepted": OfferAccepted;
  "offer.declined": OfferDeclined;
  "offer.expired": OfferExpired;
  "payment.failed": PaymentFailed;
  "payment.succeeded": PaymentSucceeded;
  "port.free": PortFree;
  "receipt.withdrawn": ReceiptWithdrawn;
  "session.ended": SessionEnded;
  "session.receipt": SessionReceipt;
  "session.started": SessionStarted;
  "station.available": StationAvailable;
  "station.occupied": StationOccupied;
  "station.offline": StationOffline;
  "station.online": StationOnline;
  "subscription.paused": SubscriptionPaused;
  "vehicle.not_ready": VehicleNotReady;
  "vehicle.ready": VehicleReady;
  "waitlist.your_turn": WaitlistYourTurn;
}
