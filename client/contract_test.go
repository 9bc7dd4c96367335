package client_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi/datamodel/high/base"

	"github.com/paylink/paylink/client"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
)

// shapes are the schemas of the document and the types that stand for them.
var shapes = map[string]any{
	"Link": client.Link{}, "CreateLink": client.CreateLink{}, "Payment": client.Payment{}, "PaymentDetail": client.PaymentDetail{},
	"Refund": client.Refund{}, "Balance": client.Balance{}, "Event": client.Event{}, "Endpoint": client.Endpoint{},
	"EndpointWithSecret": client.EndpointWithSecret{}, "CreateEndpoint": client.CreateEndpoint{}, "Delivery": client.Delivery{},
	"Issuer": client.Issuer{}, "Key": client.Key{}, "KeyWithSecret": client.KeyWithSecret{}, "CreateKey": client.CreateKey{},
	"CreateUser": client.CreateUser{}, "SignIn": client.SignIn{}, "Session": client.Session{}, "User": client.User{},
	"UpdateEndpoint": client.UpdateEndpoint{}, "DeliveryDetail": client.DeliveryDetail{}, "Redeliver": client.Redeliver{}, "Redelivery": client.Redelivery{},
	"PaymentMethod": client.PaymentMethod{}, "Problem": client.Error{}, "PayerPayment": client.PayerPayment{},
	"FraudRule": client.FraudRule{}, "CreateFraudRule": client.CreateFraudRule{}, "UpdateFraudRule": client.UpdateFraudRule{},
	"FraudListEntry": client.FraudListEntry{}, "CreateFraudListEntry": client.CreateFraudListEntry{}, "UpdateFraudListEntry": client.UpdateFraudListEntry{},
	"FraudPolicy": client.FraudPolicy{}, "UpdateFraudPolicy": client.UpdateFraudPolicy{}, "BacktestFraudRule": client.BacktestFraudRule{}, "FraudBacktest": client.FraudBacktest{},
	"Form": client.Form{}, "CreateForm": client.CreateForm{}, "UpdateForm": client.UpdateForm{},
	"Risk": client.Risk{}, "Dispute": client.Dispute{},
	"FormFieldIn": client.FormField{}, "FormLookIn": client.FormLook{}, "TestClock": client.Clock{}, "MoveTestClock": client.MoveClock{},
}

// TestTypesAreTheDocuments holds every member of every type against the API
// document: none is missing, none is made up, and each has the right type.
func TestTypesAreTheDocuments(t *testing.T) {
	schemas := apitest.Model(t).Components.Schemas
	for name, value := range shapes {
		proxy := schemas.GetOrZero(name)
		if proxy == nil {
			t.Errorf("the document has no schema %s", name)
			continue
		}
		checkObject(t, name, properties(proxy.Schema()), reflect.TypeOf(value))
	}
}

// properties of an object, with those of what it is composed of.
func properties(s *base.Schema) map[string]*base.Schema {
	all := map[string]*base.Schema{}
	for _, part := range s.AllOf {
		maps.Copy(all, properties(part.Schema()))
	}
	if s.Properties != nil {
		for name, p := range s.Properties.FromOldest() {
			all[name] = p.Schema()
		}
	}
	return all
}

// members of a struct by their JSON names, with those of embedded ones.
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

func checkObject(t *testing.T, name string, want map[string]*base.Schema, of reflect.Type) {
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

func checkValue(t *testing.T, name string, s *base.Schema, of reflect.Type) {
	t.Helper()
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of == reflect.TypeFor[json.RawMessage]() {
		return
	}
	if len(s.AnyOf) > 0 && len(s.Type) == 0 { // a value, or null
		s = s.AnyOf[0].Schema()
	}
	if len(s.Type)+len(s.OneOf)+len(s.AllOf)+len(properties(s)) == 0 && s.Const == nil && s.AdditionalProperties == nil && of.Kind() == reflect.String {
		return // the library does not resolve a reference that has a description beside it; those are amounts
	}
	if len(s.OneOf) > 0 { // an amount: a string or a number
		s = s.OneOf[0].Schema()
	}
	kinds := slices.DeleteFunc(slices.Clone(s.Type), func(k string) bool { return k == "null" })
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
		checkValue(t, name+"[]", s.Items.A.Schema(), of.Elem())
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

// calls are the operations of the document and the SDK's methods for them.
var calls = map[string]string{
	"createUser": "Users.SignUp", "setPaymentMethods": "Users.SetPaymentMethods", "getMe": "Users.Me", "listIssuers": "Payments.Issuers",
	"signIn": "Users.SignIn", "signOut": "Users.SignOut",
	"createKey": "Keys.Create", "listKeys": "Keys.All", "getKey": "Keys.Get", "revokeKey": "Keys.Revoke", "rotateKey": "Keys.Rotate",
	"createPaymentLink": "Links.Create", "createLink": "Links.Create", "listLinks": "Links.All", "getLink": "Links.Get", "cancelLink": "Links.Cancel",
	"getLinkQR":    "Links.QR",
	"listPayments": "Payments.All", "exportPayments": "Payments.CSV", "getPayment": "Payments.Get", "createRefund": "Payments.Refund",
	"capturePayment": "Payments.Capture", "voidPayment": "Payments.Void", "getBalance": "Payments.Balance",
	"createEndpoint": "Endpoints.Create", "listEndpoints": "Endpoints.All", "getEndpoint": "Endpoints.Get", "deleteEndpoint": "Endpoints.Delete",
	"rotateEndpoint": "Endpoints.Rotate", "listDeliveries": "Endpoints.Deliveries", "redeliver": "Endpoints.Redeliver", "listEvents": "Events.Stream",
	"updateEndpoint": "Endpoints.Update", "testEndpoint": "Endpoints.Test", "getDelivery": "Endpoints.Delivery", "redeliverAll": "Endpoints.RedeliverAll",
	"listRedeliveries": "Endpoints.Redeliveries", "getRedelivery": "Endpoints.Redelivery", "cancelRedelivery": "Endpoints.CancelRedelivery",
	"getTestClock": "Clock.Get", "moveTestClock": "Clock.Advance",
	"createForm": "Forms.Create", "listForms": "Forms.All", "getForm": "Forms.Get", "updateForm": "Forms.Update", "archiveForm": "Forms.Archive",
	"listFraudRules": "Fraud.Rules", "createFraudRule": "Fraud.CreateRule", "getFraudRule": "Fraud.Rule", "updateFraudRule": "Fraud.UpdateRule",
	"deleteFraudRule": "Fraud.DeleteRule", "listFraudRuleVersions": "Fraud.RuleVersions",
	"listFraudListEntries": "Fraud.ListEntries", "createFraudListEntry": "Fraud.CreateListEntry", "updateFraudListEntry": "Fraud.UpdateListEntry",
	"deleteFraudListEntry": "Fraud.DeleteListEntry", "getFraudPolicy": "Fraud.Policy", "updateFraudPolicy": "Fraud.UpdatePolicy", "backtestFraudRule": "Fraud.Backtest",
	"payLink": "Test.Pay", "getKeySet": "WebhookKeys",
}

// TestEveryCallIsThere: what a merchant can do by the API can be done by the SDK.
// The payer's pages, and what is for people and machines that watch, need none.
func TestEveryCallIsThere(t *testing.T) {
	c := reflect.ValueOf(connect(t))
	for path, item := range apitest.Model(t).Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			where, known := calls[op.OperationId]
			if !known {
				if strings.HasPrefix(path, "/api/") {
					t.Errorf("%s %s (%s) has no method in the SDK", strings.ToUpper(method), path, op.OperationId)
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
				t.Errorf("%s: the SDK has no %s", op.OperationId, where)
			}
		}
	}
}
