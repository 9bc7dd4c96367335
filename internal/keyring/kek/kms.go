package kek

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// encryptionContext is authenticated with the data key, and stands in CloudTrail's log.
var encryptionContext = map[string]string{"paylink": "keys"}

// awsKMS is a symmetric key of AWS KMS. The credentials come from the environment, as for
// DynamoDB. It needs kms:Decrypt to start, and kms:Encrypt to change the ring.
type awsKMS struct{ key, region, endpoint string }

// parseKMS reads KEY[?region=…&endpoint=…].
func parseKMS(setting string) (awsKMS, error) {
	key, query, _ := strings.Cut(setting, "?")
	options, err := url.ParseQuery(query)
	if err != nil || key == "" {
		return awsKMS{}, fmt.Errorf("awskms:%s: want awskms:KEY?region=…", setting)
	}
	k := awsKMS{key: key, region: options.Get("region"), endpoint: options.Get("endpoint")}
	options.Del("region")
	options.Del("endpoint")
	for name := range options {
		return awsKMS{}, fmt.Errorf("awskms:%s: unknown option %q; want region or endpoint", key, name)
	}
	if arn := strings.Split(key, ":"); k.region == "" && len(arn) > 3 && arn[0] == "arn" {
		k.region = arn[3]
	}
	return k, nil
}

// client returns a client for one call.
func (k awsKMS) client(ctx context.Context) (*kms.Client, error) {
	var options []func(*config.LoadOptions) error
	if k.region != "" {
		options = append(options, config.WithRegion(k.region))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	return kms.NewFromConfig(c, func(o *kms.Options) {
		if k.endpoint != "" {
			o.BaseEndpoint = aws.String(k.endpoint)
		}
	}), nil
}

// Wrap implements keyring.Wrapper.
func (k awsKMS) Wrap(ctx context.Context, key []byte) ([]byte, error) {
	c, err := k.client(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &k.key, Plaintext: key, EncryptionContext: encryptionContext})
	if err != nil {
		return nil, err
	}
	return out.CiphertextBlob, nil
}

// Unwrap implements keyring.Wrapper. KMS refuses what another key wrapped.
func (k awsKMS) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	c, err := k.client(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.Decrypt(ctx, &kms.DecryptInput{KeyId: &k.key, CiphertextBlob: wrapped, EncryptionContext: encryptionContext})
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}
