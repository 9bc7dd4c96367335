package client_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/paylink/paylink/client"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
)

// shapes maps the document's schemas to the Go types.
var shapes = map[string]any{
	"Link": client.Link{}, "CreateLink": client.CreateLink{}, "Payment": client.Payment{}, "PaymentDetail": client.PaymentDetail{},
	"Refund": client.Refund{}, "Balance": client.Balance{}, "Event": client.Event{}, "Endpoint": client.Endpoint{},
	"EndpointWithSecret": client.EndpointWithSecret{}, "CreateEndpoint": client.CreateEndpoint{}, "Delivery": client.Delivery{},
	"Issuer": client.Issuer{}, "Activity": client.Activity{}, "Key": client.Key{}, "KeyWithSecret": client.KeyWithSecret{}, "CreateKey": client.CreateKey{},
	"CreateUser": client.CreateUser{}, "SignIn": client.SignIn{}, "Session": client.Session{}, "User": client.User{},
	"UpdateEndpoint": client.UpdateEndpoint{}, "DeliveryDetail": client.DeliveryDetail{}, "Redeliver": client.Redeliver{},
	"Redelivery":    client.Redelivery{},
	"PaymentMethod": client.PaymentMethod{}, "Problem": client.Error{}, "PayerPayment": client.PayerPayment{},
	"FraudRule": client.FraudRule{}, "CreateFraudRule": client.CreateFraudRule{}, "UpdateFraudRule": client.UpdateFraudRule{},
	"FraudListEntry": client.FraudListEntry{}, "CreateFraudListEntry": client.CreateFraudListEntry{},
	"UpdateFraudListEntry": client.UpdateFraudListEntry{},
	"FraudPolicy":          client.FraudPolicy{}, "UpdateFraudPolicy": client.UpdateFraudPolicy{},
	"BacktestFraudRule": client.BacktestFraudRule{},
	"FraudBacktest":     client.FraudBacktest{},
	"Form":              client.Form{}, "CreateForm": client.CreateForm{}, "UpdateForm": client.UpdateForm{},
	"Risk": client.Risk{}, "Dispute": client.Dispute{}, "OpenDispute": client.OpenDispute{}, "MoveDispute": client.MoveDispute{},
	"ReviewBody": client.ReviewBody{},
	"MarkBody":   client.MarkBody{}, "RelatedPayment": client.RelatedPayment{},
	"FormFieldIn": client.FormField{}, "FormLookIn": client.FormLook{}, "TestClock": client.Clock{}, "MoveTestClock": client.MoveClock{},
}

// TestTypesAreTheDocuments compares every member of every type with the API document: none is
// missing or added, and each has the right type.
func TestTypesAreTheDocuments(t *testing.T) {
	for name, value := range shapes {
		s := apitest.Model(t).Schema(t, name)
		if s == nil {
			t.Errorf("the document has no schema %s", name)
			continue
		}
		checkObject(t, name, properties(s), reflect.TypeOf(value))
	}
}

// properties returns an object's properties, including those of its components.
func properties(s *jsonschema.Schema) map[string]*jsonschema.Schema {
	all := map[string]*jsonschema.Schema{}
	if s.Ref != nil {
		all = properties(s.Ref)
	}
	for _, part := range s.AllOf {
		maps.Copy(all, properties(part))
	}
	maps.Copy(all, s.Properties)
	return all
}

// members returns a struct's fields by JSON name, including those of embedded structs.
func members(of reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for i := range of.NumField() {
		f := of.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			maps.Copy(all, members(f.Type))
		case tag != "-":
			all[tag] = f.Type
		}
	}
	return all
}

func checkObject(t *testing.T, name string, want map[string]*jsonschema.Schema, of reflect.Type) {
	t.Helper()
	got := members(of)
	for _, member := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[member]
		if !ok {
			t.Errorf("%s.%s is in the document and not in the SDK", name, member)
			continue
		}
		checkValue(t, name+"."+member, want[member], g)
	}
	for _, member := range slices.Sorted(maps.Keys(got)) {
		if want[member] == nil {
			t.Errorf("%s.%s is in the SDK and not in the document", name, member)
		}
	}
}

// types returns the types that a schema names itself.
func types(s *jsonschema.Schema) []string {
	if s.Types == nil {
		return nil
	}
	return s.Types.ToStrings()
}

// typed returns the schema that gives a value's type.
func typed(s *jsonschema.Schema) *jsonschema.Schema {
	for len(types(s)) == 0 {
		switch {
		case s.Ref != nil:
			s = s.Ref
		case len(s.AnyOf) > 0: // a value, or null
			s = s.AnyOf[0]
		case len(s.OneOf) > 0: // an amount: a string or a number
			s = s.OneOf[0]
		default:
			return s
		}
	}
	return s
}

func checkValue(t *testing.T, name string, s *jsonschema.Schema, of reflect.Type) {
	t.Helper()
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of == reflect.TypeFor[json.RawMessage]() {
		return
	}
	s = typed(s)
	kinds := slices.DeleteFunc(types(s), func(k string) bool { return k == "null" })
	kind := "object"
	switch {
	case len(kinds) > 0:
		kind = kinds[0]
	case s.Const != nil:
		kind = "string"
	}
	switch kind {
	case "string":
		if of.Kind() != reflect.String && of != reflect.TypeFor[time.Time]() {
			t.Errorf("%s is a text, and %s in the SDK", name, of)
		}
	case "integer":
		if of.Kind() != reflect.Int64 && of.Kind() != reflect.Int {
			t.Errorf("%s is a whole number, and %s in the SDK", name, of)
		}
	case "boolean":
		if of.Kind() != reflect.Bool {
			t.Errorf("%s is true or false, and %s in the SDK", name, of)
		}
	case "array":
		if of.Kind() != reflect.Slice {
			t.Errorf("%s is a list, and %s in the SDK", name, of)
			return
		}
		checkValue(t, name+"[]", s.Items2020, of.Elem())
	case "object":
		switch inner := properties(s); {
		case of.Kind() == reflect.Map:
		case of.Kind() == reflect.Struct && len(inner) > 0:
			checkObject(t, name, inner, of)
		default:
			t.Errorf("%s is an object, and %s in the SDK", name, of)
		}
	}
}

// calls maps the document's operations to the SDK's methods.
var calls = map[string]string{
	"createUser": "Users.SignUp", "setPaymentMethods": "Users.SetPaymentMethods", "getMe": "Users.Me", "listIssuers": "Payments.Issuers",
	"signIn": "Users.SignIn", "signOut": "Users.SignOut", "listActivity": "Activity.All",
	"createKey": "Keys.Create", "listKeys": "Keys.All", "getKey": "Keys.Get", "revokeKey": "Keys.Revoke", "rotateKey": "Keys.Rotate",
	"createPaymentLink": "Links.Create", "createLink": "Links.Create", "listLinks": "Links.All", "getLink": "Links.Get",
	"cancelLink":   "Links.Cancel",
	"getLinkQR":    "Links.QR",
	"listPayments": "Payments.All", "exportPayments": "Payments.CSV", "getPayment": "Payments.Get", "createRefund": "Payments.Refund",
	"capturePayment": "Payments.Capture", "voidPayment": "Payments.Void", "getBalance": "Payments.Balance",
	"createEndpoint": "Endpoints.Create", "listEndpoints": "Endpoints.All", "getEndpoint": "Endpoints.Get",
	"deleteEndpoint": "Endpoints.Delete",
	"rotateEndpoint": "Endpoints.Rotate", "listDeliveries": "Endpoints.Deliveries", "redeliver": "Endpoints.Redeliver",
	"listEvents":     "Events.Stream",
	"updateEndpoint": "Endpoints.Update", "testEndpoint": "Endpoints.Test", "getDelivery": "Endpoints.Delivery",
	"redeliverAll":     "Endpoints.RedeliverAll",
	"listRedeliveries": "Endpoints.Redeliveries", "getRedelivery": "Endpoints.Redelivery", "cancelRedelivery": "Endpoints.CancelRedelivery",
	"listReviews": "Payments.Reviews", "reviewPayment": "Payments.Review", "markPayment": "Payments.Mark", "listRelated": "Payments.Related",
	"listDisputes": "Disputes.All", "openDispute": "Disputes.Open", "moveDispute": "Disputes.Move",
	"getTestClock": "Clock.Get", "moveTestClock": "Clock.Advance",
	"createForm": "Forms.Create", "listForms": "Forms.All", "getForm": "Forms.Get", "updateForm": "Forms.Update",
	"archiveForm":    "Forms.Archive",
	"listFraudRules": "Fraud.Rules", "createFraudRule": "Fraud.CreateRule", "getFraudRule": "Fraud.Rule",
	"updateFraudRule": "Fraud.UpdateRule",
	"deleteFraudRule": "Fraud.DeleteRule", "listFraudRuleVersions": "Fraud.RuleVersions",
	"listFraudListEntries": "Fraud.ListEntries", "createFraudListEntry": "Fraud.CreateListEntry",
	"updateFraudListEntry": "Fraud.UpdateListEntry",
	"deleteFraudListEntry": "Fraud.DeleteListEntry", "getFraudPolicy": "Fraud.Policy", "updateFraudPolicy": "Fraud.UpdatePolicy",
	"backtestFraudRule": "Fraud.Backtest",
	"payLink":           "Test.Pay", "getKeySet": "WebhookKeys",
}

// TestEveryCallIsThere checks that the SDK can do what a merchant can do by the API. The payer's
// pages, and what is for people and monitoring, need no call.
func TestEveryCallIsThere(t *testing.T) {
	c := reflect.ValueOf(connect(t))
	for _, op := range apitest.Model(t).Operations {
		where, known := calls[op.ID]
		if !known {
			if strings.HasPrefix(op.Path, "/api/") {
				t.Errorf("%s %s (%s) has no method in the SDK", op.Method, op.Path, op.ID)
			}
			continue
		}
		at := c
		group, name, grouped := strings.Cut(where, ".")
		if grouped {
			at = at.Elem().FieldByName(group)
		} else {
			name = group
		}
		if !at.MethodByName(name).IsValid() {
			t.Errorf("%s: the SDK has no %s", op.ID, where)
		}
	}
}
