package notifier

// Made by `make client-types` of the OpenAPI document.

import "time"

// Money: an amount in a currency (ISO 4217), including taxes.
type Money struct {
	Amount   float64 `json:"amount"`
	Currency string  `json:"currency"`
}

// ChargingComplete: the data of the event charging.complete.
type ChargingComplete struct {
	// The charging session.
	SessionID string `json:"session_id"`
	// Whether the battery is full, a limit that the driver set was reached, or nobody knows why it ended.
	Kind string `json:"kind"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// Energy delivered, in kWh.
	EnergyKwh float64 `json:"energy_kwh"`
	// When charging stopped.
	CompletedAt time.Time `json:"completed_at"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// What it costs so far.
	Cost *Money `json:"cost,omitempty"`
	// When an idle fee starts, if there is one.
	IdleFeeFrom *time.Time `json:"idle_fee_from,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// ChargingInterrupted: the data of the event charging.interrupted.
type ChargingInterrupted struct {
	// The charging session.
	SessionID string `json:"session_id"`
	// Why charging stopped.
	Reason string `json:"reason"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// When charging stopped.
	StoppedAt time.Time `json:"stopped_at"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// Energy delivered until then, in kWh.
	EnergyKwh *float64 `json:"energy_kwh,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// ChargingResumed: the data of the event charging.resumed.
type ChargingResumed struct {
	// The charging session.
	SessionID string `json:"session_id"`
}

// IdleWarning: the data of the event idle.warning.
type IdleWarning struct {
	// The charging session.
	SessionID string `json:"session_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// When the idle fee starts.
	IdleFeeFrom time.Time `json:"idle_fee_from"`
	// What a minute costs from then on, taxes included.
	FeePerMinute Money `json:"fee_per_minute"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// The most it can come to, taxes included.
	MaxFee *Money `json:"max_fee,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// MarketingOffer: the data of the event marketing.offer.
type MarketingOffer struct {
	// The segment that it is for (docs/audiences.md).
	SegmentID string `json:"segment_id"`
	// The campaign: nobody hears twice of the same one.
	CampaignID string `json:"campaign_id"`
	// What is offered, in up to 40 letters; in the language that the segment chooses people by.
	Title string `json:"title"`
	// The offer in a sentence or two, in the same language; the push shows the first 60 letters.
	Text string `json:"text"`
	// When the offer ends.
	ValidUntil *time.Time `json:"valid_until,omitempty"`
	// The code to give when paying.
	Code *string `json:"code,omitempty"`
	// The price per kWh while it lasts.
	Price *Money `json:"price,omitempty"`
	// Where and for whom it holds, in a sentence.
	Conditions *string `json:"conditions,omitempty"`
}

// MarketingOfferWithdrawn: the data of the event marketing.offer_withdrawn.
type MarketingOfferWithdrawn struct {
	// The campaign: nobody hears twice of the same one.
	CampaignID string `json:"campaign_id"`
}

// OfferAccepted: the data of the event offer.accepted.
type OfferAccepted struct {
	// The offer: one place in the queue, held for one driver.
	OfferID string `json:"offer_id"`
}

// OfferDeclined: the data of the event offer.declined.
type OfferDeclined struct {
	// The offer: one place in the queue, held for one driver.
	OfferID string `json:"offer_id"`
}

// OfferExpired: the data of the event offer.expired.
type OfferExpired struct {
	// The offer: one place in the queue, held for one driver.
	OfferID string `json:"offer_id"`
}

// PaymentFailed: the data of the event payment.failed.
type PaymentFailed struct {
	// The account that owes it.
	AccountID string `json:"account_id"`
	// Which attempt failed, from 1.
	Attempt int64 `json:"attempt"`
	// What is owed, taxes included.
	Amount Money `json:"amount"`
	// Whether the driver can't charge until it is paid.
	Blocked bool `json:"blocked"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// What could not be charged, such as Visa •••• 4242.
	PaymentMethod *string `json:"payment_method,omitempty"`
	// When it is tried again, if it is.
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
}

// PaymentSucceeded: the data of the event payment.succeeded.
type PaymentSucceeded struct {
	// The account that owes it.
	AccountID string `json:"account_id"`
}

// PortFree: the data of the event port.free.
type PortFree struct {
	// The alert that the driver asked for: it is answered once.
	AlertID string `json:"alert_id"`
	// The station's id, as it was put by OCPI.
	StationID string `json:"station_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// Which of its ports is free.
	Port string `json:"port"`
	// Until when nobody else who waits is told of it.
	Until time.Time `json:"until"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// The most that the port gives, in kW.
	PowerKw *float64 `json:"power_kw,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// ReceiptWithdrawn: the data of the event receipt.withdrawn.
type ReceiptWithdrawn struct {
	// The charging session.
	SessionID string `json:"session_id"`
}

// SessionEnded: the data of the event session.ended.
type SessionEnded struct {
	// The charging session.
	SessionID string `json:"session_id"`
}

// SessionReceipt: the data of the event session.receipt.
type SessionReceipt struct {
	// The charging session.
	SessionID string `json:"session_id"`
	// The charge detail record: the final word on what it cost.
	CdrID string `json:"cdr_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// When the session started.
	StartedAt time.Time `json:"started_at"`
	// When the session ended.
	EndedAt time.Time `json:"ended_at"`
	// How long the session lasted, in minutes.
	DurationMin int64 `json:"duration_min"`
	// Energy delivered, in kWh.
	EnergyKwh float64 `json:"energy_kwh"`
	// What is charged, taxes included.
	Total Money `json:"total"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// Where it is: street and town.
	Address *string `json:"address,omitempty"`
	// The taxes in the total.
	Tax *Money `json:"tax,omitempty"`
	// The idle fee in the total.
	IdleFee *Money `json:"idle_fee,omitempty"`
	// What it is charged to, such as Visa •••• 4242.
	PaymentMethod *string `json:"payment_method,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// SessionStarted: the data of the event session.started.
type SessionStarted struct {
	// The charging session.
	SessionID string `json:"session_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// When charging started.
	StartedAt time.Time `json:"started_at"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// The most power the connector gives, in kW.
	PowerKw *float64 `json:"power_kw,omitempty"`
	// The price of a kWh, taxes included.
	PricePerKwh *Money `json:"price_per_kwh,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// StationAvailable: the data of the event station.available.
type StationAvailable struct {
	// The topic whose subscribers are told, such as station:BE*BEC*E041503003.
	Topic string `json:"topic"`
	// The station.
	StationID string `json:"station_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// Since when it has been free: nobody hears twice of the same time.
	Since time.Time `json:"since"`
	// How many of its connectors are free.
	Connectors *int64 `json:"connectors,omitempty"`
	// The most that one of them gives, in kW.
	PowerKw *float64 `json:"power_kw,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// StationOccupied: the data of the event station.occupied.
type StationOccupied struct {
	// The station.
	StationID string `json:"station_id"`
}

// StationOffline: the data of the event station.offline.
type StationOffline struct {
	// The site whose operators are told.
	SiteID string `json:"site_id"`
	// The site's name.
	Site string `json:"site"`
	// The station.
	StationID string `json:"station_id"`
	// The station's name.
	Station string `json:"station"`
	// When it was last heard from.
	Since time.Time `json:"since"`
	// How many connectors are out of reach.
	Connectors *int64 `json:"connectors,omitempty"`
	// The last error it reported, as the station names it.
	ErrorCode *string `json:"error_code,omitempty"`
	// The time zone of the site, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// StationOnline: the data of the event station.online.
type StationOnline struct {
	// The site whose operators are told.
	SiteID string `json:"site_id"`
	// The site's name.
	Site string `json:"site"`
	// The station.
	StationID string `json:"station_id"`
	// The station's name.
	Station string `json:"station"`
	// When it was heard from again.
	OnlineSince time.Time `json:"online_since"`
	// For how many minutes it was away.
	OfflineMin *float64 `json:"offline_min,omitempty"`
	// The time zone of the site, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// SubscriptionPaused: the data of the event subscription.paused.
type SubscriptionPaused struct {
	// The team that owns the subscription.
	Team string `json:"team"`
	// The subscription's id.
	Subscription string `json:"subscription"`
	// The host to which its changes were sent.
	Endpoint string `json:"endpoint"`
	// Why: its endpoint said that it is gone, or failed for days; its key is good no more; its next changes are not kept.
	Reason string `json:"reason"`
	// Since when nothing is sent.
	PausedAt time.Time `json:"paused_at"`
	// The endpoint's last answer: a status, or what prevented the request.
	Answer *string `json:"answer,omitempty"`
}

// VehicleNotReady: the data of the event vehicle.not_ready.
type VehicleNotReady struct {
	// The fleet whose managers are told.
	FleetID string `json:"fleet_id"`
	// The vehicle.
	VehicleID string `json:"vehicle_id"`
	// The vehicle's name as the fleet knows it.
	Vehicle string `json:"vehicle"`
	// When it is planned to leave.
	Departure time.Time `json:"departure"`
	// How full the battery is now, 0 to 100.
	ChargePercent float64 `json:"charge_percent"`
	// How full it must be to leave, 0 to 100.
	NeededPercent float64 `json:"needed_percent"`
	// Why it won't be ready.
	Reason string `json:"reason"`
	// Where it stands.
	Depot *string `json:"depot,omitempty"`
	// When it will be ready at this rate, if it is charging.
	ReadyAt *time.Time `json:"ready_at,omitempty"`
	// The time zone of the depot, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}

// VehicleReady: the data of the event vehicle.ready.
type VehicleReady struct {
	// The vehicle.
	VehicleID string `json:"vehicle_id"`
}

// WaitlistYourTurn: the data of the event waitlist.your_turn.
type WaitlistYourTurn struct {
	// The offer: one place in the queue, held for one driver.
	OfferID string `json:"offer_id"`
	// The station's name as drivers know it.
	Station string `json:"station"`
	// Until when it is held for the driver.
	RespondBy time.Time `json:"respond_by"`
	// The driver, where the network knows them.
	DriverID *string `json:"driver_id,omitempty"`
	// The charging token used: OCPI contract id or RFID uid.
	Token *string `json:"token,omitempty"`
	// The connector's power, in kilowatts.
	PowerKw *float64 `json:"power_kw,omitempty"`
	// The time zone of the station, such as Europe/Lisbon: times are told by its clocks.
	TimeZone *string `json:"time_zone,omitempty"`
}
